package sandbox

import (
	"net/http"
	"slices"
	"time"
)

// Ways in which an application gets its tokens, by the names that a
// configuration of the proxy has for them.
const (
	FlowClientSecret = "client_secret"
	FlowCertificate  = "certificate"
	FlowDeviceCode   = "device_code"
)

// An App is an application whose tokens fail in one way: it is registered or
// configured with one mistake, or Entra refuses it. Everything else about it,
// and about its mailbox, is right.
type App struct {
	Name string // also the local part of its mailbox's address
	What string // what happens, in a sentence
	Mark Mark   // the least certain part of it

	// What a configuration needs to know. Ids and secrets are new in each run.
	Flow        string
	Scopes      []string // to ask for; nil: the usual ones
	Tenant      string   // id, or domain
	ClientID    string
	Secret      string // of FlowClientSecret
	Certificate []byte // of FlowCertificate: PEM, with the key
	Mailbox     string // FlowDeviceCode: who signs in, too

	quirks
	wrongSecret  bool // Secret is another one than Entra knows
	unregistered bool // Entra does not know the application
	otherTenant  bool // Tenant is one that Entra does not know
	rbac         bool // Exchange's own roles let it send from its mailbox
}

// quirks are what distinguishes an application from an ordinary one at Entra.
type quirks struct {
	fault   EntraFault   // that its token requests meet
	signsIn bool         // those by which a person signs in do not
	token   TokenOptions // of its tokens
	lacks   []string     // roles that its tokens do not have
}

// faultAt returns the fault that a request for that grant meets, or NoFault.
func (q quirks) faultAt(grant string) EntraFault {
	if q.signsIn && grant != GrantRefreshToken {
		return NoFault
	}
	return q.fault
}

// permissions returns all but those that the application lacks.
func (q quirks) permissions(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(q.lacks, name) })
}

// refusedOnceSignedIn lets a person sign in, and refuses all that comes after
// it. The token that the sign-in brings has run out before it is used, so that
// the refusal is met at once.
func refusedOnceSignedIn(number int) quirks {
	return quirks{fault: AADSTS(number), signsIn: true, token: TokenOptions{Lifetime: 2 * time.Second, stale: true}}
}

func refusedAlways(number int) quirks { return quirks{fault: AADSTS(number)} }

// apps is the one table of the applications that fail: first those that act
// for themselves, then those with which a person signs in.
var apps = []App{
	{Name: "secret-wrong", Mark: Certain, Flow: FlowClientSecret, wrongSecret: true,
		What: "the secret is another one, such as its id: AADSTS7000215"},
	{Name: "secret-expired", Mark: Certain, Flow: FlowClientSecret, quirks: refusedAlways(7000222),
		What: "the secret has expired: AADSTS7000222"},
	{Name: "unknown-app", Mark: Certain, Flow: FlowClientSecret, unregistered: true,
		What: "no application has the client id: AADSTS700016"},
	{Name: "app-disabled", Mark: Certain, Flow: FlowClientSecret, quirks: refusedAlways(7000112),
		What: "the enterprise application is disabled: AADSTS7000112"},
	{Name: "certificate-unknown", Mark: Certain, Flow: FlowCertificate,
		What: "the certificate was not uploaded to the app registration: AADSTS700027"},
	{Name: "no-roles", Mark: Certain, Flow: FlowClientSecret, quirks: quirks{lacks: appRoles},
		What: "no administrator has consented: tokens have no roles, and all three protocols refuse them"},
	{Name: "api-missing", Mark: Inferred, Flow: FlowClientSecret, quirks: refusedAlways(650057),
		What: "Exchange's API is not among the permissions of the registration: AADSTS650057 (known of people's sign-ins)"},
	{Name: "wrong-audience", Mark: Certain, Flow: FlowClientSecret, Scopes: []string{audienceGraph + "/.default"},
		What: "tokens are asked for Microsoft Graph: all three protocols refuse them"},
	{Name: "no-imap-role", Mark: Certain, Flow: FlowClientSecret, quirks: quirks{lacks: []string{imapProtocol.role}},
		What: "tokens have no role IMAP.AccessAsApp: IMAP refuses them; POP3 and SMTP work"},
	{Name: "no-pop-role", Mark: Certain, Flow: FlowClientSecret, quirks: quirks{lacks: []string{pop3Protocol.role}},
		What: "tokens have no role POP.AccessAsApp: POP3 refuses them; IMAP and SMTP work"},
	{Name: "no-smtp-role", Mark: Certain, Flow: FlowClientSecret, quirks: quirks{lacks: []string{smtpProtocol.role}},
		What: "tokens have no role SMTP.SendAsApp: SMTP refuses them; IMAP and POP3 work"},
	{Name: "app-rbac", Mark: Certain, Flow: FlowClientSecret, rbac: true, quirks: quirks{lacks: appRoles},
		What: "Exchange's role Application SMTP.SendAsApp in place of consent: tokens have no roles, and SMTP works; IMAP and POP3 refuse them"},
	{Name: "other-tenant", Mark: Certain, Flow: FlowClientSecret, quirks: quirks{token: TokenOptions{TenantID: otherTenantID}},
		What: "tokens are of another tenant than the mailbox: all three protocols refuse them"},
	{Name: "token-expired", Mark: Certain, Flow: FlowClientSecret, quirks: quirks{token: TokenOptions{stale: true, Lifetime: time.Hour}},
		What: "tokens have expired an hour before they are issued, whatever Entra says: all three protocols refuse them"},
	{Name: "token-too-long", Mark: Reported, Flow: FlowClientSecret, quirks: quirks{token: TokenOptions{Length: maxPOP3Token + 1000}},
		What: "tokens have more than 4096 characters: POP3 answers them with a protocol error and closes; IMAP and SMTP work"},
	{Name: "token-throttled", Mark: Reported, Flow: FlowClientSecret, quirks: quirks{fault: TooManyRequests(time.Minute)},
		What: "too many token requests: HTTP 429 with Retry-After, a minute"},
	{Name: "entra-unavailable", Mark: Certain, Flow: FlowClientSecret, quirks: refusedAlways(90033),
		What: "Entra has a transient fault: HTTP 503 with AADSTS90033"},
	{Name: "unknown-tenant", Mark: Certain, Flow: FlowClientSecret, otherTenant: true,
		What: "no tenant has the name: AADSTS90002"},
	{Name: "no-exchange", Mark: Certain, Flow: FlowClientSecret, quirks: refusedAlways(500011),
		What: "the tenant has no Exchange Online, or the scope is of another cloud: AADSTS500011"},
	{Name: "wrong-cloud", Mark: Certain, Flow: FlowClientSecret, quirks: refusedAlways(900382),
		What: "the tenant is in another national cloud: AADSTS900382"},
	{Name: "wrong-cloud-tenant", Mark: Certain, Flow: FlowClientSecret, quirks: refusedAlways(90038),
		What: "the tenant is in another national cloud, which this one does not stand in for: AADSTS90038"},

	{Name: "no-consent", Mark: Certain, Flow: FlowDeviceCode, quirks: refusedOnceSignedIn(65001),
		What: "consent is missing once the person has signed in: AADSTS65001"},
	{Name: "sign-in-blocked", Mark: Certain, Flow: FlowDeviceCode, quirks: refusedOnceSignedIn(53003),
		What: "Conditional Access blocks the application once the person has signed in: AADSTS53003"},
	{Name: "device-code-blocked", Mark: Reported, Flow: FlowDeviceCode, quirks: refusedAlways(530036),
		What: "a policy forbids device codes: AADSTS530036 to the first poll"},
	{Name: "second-factor", Mark: Certain, Flow: FlowDeviceCode, quirks: refusedOnceSignedIn(secondFactorNeeded),
		What: "a second factor is needed once the person has signed in: AADSTS50076"},
	{Name: "sign-in-too-old", Mark: Certain, Flow: FlowDeviceCode, quirks: refusedOnceSignedIn(700082),
		What: "the refresh token was not used for 90 days: AADSTS700082"},
	{Name: "sign-in-revoked", Mark: Certain, Flow: FlowDeviceCode, quirks: refusedOnceSignedIn(50173),
		What: "the sign-in was revoked, by a new password or an administrator: AADSTS50173"},
	{Name: "sign-in-frequency", Mark: Certain, Flow: FlowDeviceCode, quirks: refusedOnceSignedIn(70043),
		What: "a policy wants a new sign-in: AADSTS70043"},
	{Name: "user-disabled", Mark: Certain, Flow: FlowDeviceCode, quirks: refusedOnceSignedIn(50057),
		What: "the person's account is disabled after the sign-in: AADSTS50057"},
	{Name: "public-client-off", Mark: Certain, Flow: FlowDeviceCode, quirks: refusedAlways(7000218),
		What: "public client flows are not allowed in the app registration: AADSTS7000218 to the first poll"},
	{Name: "graph-scopes", Mark: Certain, Flow: FlowDeviceCode, Scopes: mailScopesOf(audienceGraph, userScopes...),
		What: "the scopes are those of Microsoft Graph: all three protocols refuse the tokens"},
	{Name: "no-imap-scope", Mark: Certain, Flow: FlowDeviceCode, Scopes: mailScopesOf(audienceDelegated, pop3Protocol.scope, smtpProtocol.scope),
		What: "tokens have no scope IMAP.AccessAsUser.All: IMAP refuses them; POP3 and SMTP work"},
	{Name: "no-smtp-scope", Mark: Certain, Flow: FlowDeviceCode, Scopes: mailScopesOf(audienceDelegated, imapProtocol.scope, pop3Protocol.scope),
		What: "tokens have no scope SMTP.Send: SMTP refuses them; IMAP and POP3 work"},
	{Name: "opaque-token", Mark: NotExchange, Flow: FlowDeviceCode, quirks: quirks{token: TokenOptions{Opaque: true}},
		What: "tokens are no JWT though the account is the organisation's; everything works"},
}

// otherTenantID is a tenant that has none of the mailboxes, and otherDomain a
// domain that no tenant has.
const (
	otherTenantID = "0c0ffee0-0000-4000-8000-00000000beef"
	otherDomain   = "fabrikam.example"
)

func mailScopesOf(resource string, permissions ...string) []string {
	var full []string
	for _, name := range permissions {
		full = append(full, resource+"/"+name)
	}
	return full
}

// mailbox is that of the application, which works as far as the application's
// tokens go.
func (a App) mailbox() *Scenario {
	return &Scenario{Name: a.Name, What: a.What, Mark: a.Mark, rbac: a.rbac}
}

// registerApps registers the ordinary application and those of the table.
func (e *entra) registerApps() {
	issuer := e.sandbox.issuer
	issuer.secret = e.sandbox.clientSecret
	e.apps = map[string]*application{issuer.clientID: &issuer.application}
	for _, row := range apps {
		registered := newApplication()
		registered.quirks = row.quirks
		row.ClientID, row.Tenant, row.Mailbox = registered.clientID, issuer.tenantID, row.mailbox().address()
		if row.Flow == FlowClientSecret {
			row.Secret = newClientSecret()
			registered.secret = row.Secret
		}
		if row.wrongSecret {
			registered.secret = newClientSecret()
		}
		if row.otherTenant {
			row.Tenant = otherDomain
		}
		if !row.unregistered {
			e.apps[registered.clientID] = &registered
		}
		e.listed = append(e.listed, row)
	}
}

// app returns the application that a request comes from, or nil.
func (e *entra) app(r *http.Request) *application { return e.apps[r.FormValue("client_id")] }

// Apps lists the applications whose tokens fail. Each has a mailbox of its own,
// which Mailboxes does not list. People sign in with FlowDeviceCode as any
// other: by AutoApprove, ApproveDeviceCode or a page.
func (s *Sandbox) Apps() []App {
	list := slices.Clone(s.entra.listed)
	for i := range list {
		if list[i].Flow == FlowCertificate {
			list[i].Certificate = strangeCertificate()
		}
	}
	return list
}

// App returns the one of that name; an unknown name is a mistake in a test.
func (s *Sandbox) App(name string) App {
	list := s.Apps()
	i := slices.IndexFunc(list, func(a App) bool { return a.Name == name })
	if i < 0 {
		panic("sandbox: no application is named " + name)
	}
	return list[i]
}
