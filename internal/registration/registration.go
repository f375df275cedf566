// Package registration knows what an administrator has to do at Microsoft so
// that oauthproxy may use a mailbox: the steps in Entra ID and in Exchange
// Online, as text and as PowerShell scripts. It follows Microsoft's page on
// "Authenticate an IMAP, POP or SMTP connection using OAuth" and that on RBAC
// for Applications (November 2026). The scripts were never run in a tenant.
package registration

import "slices"

// Protocols, as the configuration names them.
const (
	IMAP = "imap"
	POP3 = "pop3"
	SMTP = "smtp"
)

// Access is in whose name the mailboxes are opened, and how that is proven.
type Access string

// The ways of access. In the first two a person signs in, once; in the others
// the application opens the mailboxes by itself.
const (
	Browser     Access = "browser"
	DeviceCode  Access = "device_code"
	Secret      Access = "client_secret"
	Certificate Access = "certificate"
)

// HasPerson tells whether a person signs in.
func (a Access) HasPerson() bool { return a == Browser || a == DeviceCode }

// Plan is what is to be set up.
type Plan struct {
	Cloud     string   // worldwide, gcc-high, dod or china
	Tenant    string   // GUID or domain; empty if not known yet
	ClientID  string   // GUID; empty if there is no registration yet
	Mailboxes []string // primary addresses, at least one
	Access    Access
	SignInAs  string   // the person who signs in for a shared mailbox, else empty
	Protocols []string // of IMAP, POP3 and SMTP, at least one
	MailRole  bool     // the role Application SMTP.SendAsApp instead of a permission and FullAccess
}

// CanUseMailRole tells whether the role Application SMTP.SendAsApp does: it
// exists in the worldwide cloud, for applications, and for SMTP alone.
func (p Plan) CanUseMailRole() bool {
	return p.Cloud == worldwide && !p.Access.HasPerson() && slices.Equal(p.Protocols, []string{SMTP})
}

func (p Plan) speaks(protocol string) bool { return slices.Contains(p.Protocols, protocol) }

// reads tells whether mail is read, and not only sent.
func (p Plan) reads() bool { return p.speaks(IMAP) || p.speaks(POP3) }

// senders are the addresses that Exchange sees at an SMTP login: for a shared
// mailbox, the person.
func (p Plan) senders() []string {
	if p.SignInAs != "" {
		return []string{p.SignInAs}
	}
	return p.Mailboxes
}

// permission is the name of a permission in Entra ID.
type permission struct{ delegated, application string }

var permissions = map[string]permission{
	IMAP: {"IMAP.AccessAsUser.All", "IMAP.AccessAsApp"},
	POP3: {"POP.AccessAsUser.All", "POP.AccessAsApp"},
	SMTP: {"SMTP.Send", "SMTP.SendAsApp"},
}

// Permissions returns the permissions that the registration needs in Entra ID;
// none with the role in Exchange.
func (p Plan) Permissions() []string {
	if p.MailRole {
		return nil
	}
	var all []string
	for _, protocol := range []string{IMAP, POP3, SMTP} {
		switch {
		case !p.speaks(protocol):
		case p.Access.HasPerson():
			all = append(all, permissions[protocol].delegated)
		default:
			all = append(all, permissions[protocol].application)
		}
	}
	if p.Access.HasPerson() {
		all = append(all, "offline_access")
	}
	return all
}

const worldwide = "worldwide"

// cloud is where administrators find a cloud's tools.
type cloud struct {
	adminCenter string // of Entra ID
	graph       string // Connect-MgGraph -Environment
	exchange    string // Connect-ExchangeOnline -ExchangeEnvironmentName; empty: the default
}

// clouds are from Microsoft's pages on the two commands and on Entra ID's
// admin center (November 2026).
var clouds = map[string]cloud{
	worldwide:  {"https://entra.microsoft.com", "Global", ""},
	"gcc-high": {"https://entra.microsoft.us", "USGov", "O365USGovGCCHigh"},
	"dod":      {"https://entra.microsoft.us", "USGovDoD", "O365USGovDoD"},
	"china":    {"https://entra.microsoftonline.cn", "China", "O365China"},
}

func (p Plan) cloud() cloud {
	if c, ok := clouds[p.Cloud]; ok {
		return c
	}
	return clouds[worldwide]
}
