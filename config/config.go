// Package config reads the configuration: what a person writes in
// config.yaml, with every default filled in and every mistake found at once.
//
// Load is strict. A key it doesn't know, a file that isn't there or a value
// that can't work is a Problem with its line and a hint, and nothing starts
// with a configuration that has one. What Load returns needs no further
// checks.
package config

import (
	"cmp"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"oauthproxy/internal/wire"
)

// Protocols a listener can speak and a login can be limited to.
const (
	IMAP = "imap"
	POP3 = "pop3"
	SMTP = "smtp"
)

// TLS modes. A listener may use all of them, an upstream host only StartTLS
// and Implicit.
const (
	None     = "none"
	StartTLS = "starttls"
	Implicit = "implicit"
	Auto     = "auto" // finds out which of the others the client speaks
)

// Config is a whole configuration, checked, with its defaults. File names in
// it are absolute.
type Config struct {
	File           string         // where it was read from
	Apps           map[string]App // by name
	Listeners      []Listener
	Accounts       []Account
	Upstream       Upstream
	Limits         Limits
	Admin          Admin
	StateDirectory string // where the service keeps what it must remember
	Store          Store
	HTTPProxy      wire.Secret // URL of the web proxy to Entra ID, perhaps with a password; empty: the environment's
	Log            Log
}

// App is an application registered in Entra ID, or a managed identity. What
// its flow doesn't use is empty.
type App struct {
	Tenant                  string // GUID or domain, or common, organizations or consumers where a person signs in
	ClientID                string // GUID
	Flow                    string
	Authority               string   // https URL with the tenant, e.g. https://login.microsoftonline.com/contoso.com
	Scopes                  []string // instead of the usual ones; see Account.Scopes
	ClientSecretFile        string
	CertificateFile         string // PEM or PFX
	KeyFile                 string // PEM; empty if the key is in CertificateFile
	CertificatePasswordFile string
	FederatedTokenFile      string
	ManagedIdentityClientID string // GUID; empty is the machine's own identity
}

// Listener is a port that mail clients connect to.
type Listener struct {
	Protocol        string // IMAP, POP3 or SMTP
	Address         string // host:port; port 0 lets the system choose
	TLS             string // None, StartTLS, Implicit or Auto
	CertificateFile string // empty, unless TLS is None: the program's own authority issues one
	KeyFile         string
	Names           []string       // of the certificate that is issued, besides those that the address tells
	LegacyTLS       bool           // TLS 1.0 and up, for Networks alone
	Networks        []netip.Prefix // who may connect; empty means everybody
}

// IsLoopback tells whether only programs of this machine can reach the
// listener.
func (l Listener) IsLoopback() bool { return isLoopback(l.Address) }

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return strings.EqualFold(host, "localhost")
	}
	return ip.Unmap().IsLoopback()
}

// IssuesCertificate tells whether the listener has TLS, and its certificate
// from the program's own authority.
func (l Listener) IssuesCertificate() bool {
	return l.TLS != None && l.TLS != "" && l.CertificateFile == ""
}

// Account is an Exchange mailbox and the local logins that may use it.
type Account struct {
	Mailbox  string
	App      string   // a name in Config.Apps
	SignInAs string   // who signs in with Microsoft, if not Mailbox
	Scopes   []string // what the account's tokens are asked for
	Logins   []Login
	Upstream Upstream // in effect for this account: its own, else the common one
}

// Person is the address of whoever signs in for the account, where a person
// does.
func (a Account) Person() string { return cmp.Or(a.SignInAs, a.Mailbox) }

// Login is a local user name with its password, or a device known by its
// address alone. User and PasswordHash are both set or both empty.
type Login struct {
	User         string
	PasswordHash string
	Networks     []netip.Prefix // where it may come from; empty means anywhere
	Protocols    []string       // what it may speak; empty means all
	Device       bool           // a printer or another machine, no person
	Sending      Sending
}

// Upstream says where Exchange is.
type Upstream struct {
	Cloud            string
	IMAP, POP3, SMTP Host
	CAFile           string // roots in addition to the system's; may be empty
}

// Host is one upstream server.
type Host struct {
	Address string // host:port
	TLS     string // StartTLS or Implicit
}

// Limits bound what clients may use; 0 means no limit.
type Limits struct {
	Sessions           int // logged in at one time
	SessionsPerAddress int
	SessionsPerLogin   int
	MessagesPerMinute  int // per mailbox
	RecipientsPerDay   int // per mailbox
}

// Admin is the HTTP listener for metrics and health; an empty Address means
// there is none.
type Admin struct{ Address string }

// IsLoopback tells whether only programs of this machine can reach it.
func (a Admin) IsLoopback() bool { return isLoopback(a.Address) }

// Store says how what people have signed in for is kept.
type Store struct{ KeyFile string } // with the key it is encrypted with; empty: the store's own

// Log says what is logged and how.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // text or json
}

// maxFile bounds the configuration in bytes: room for some ten thousand
// logins.
const maxFile = 4 << 20

// Load reads and checks a configuration. The error is an *Invalid with every
// problem of the file, or another error when the file can't be read.
// checkHash tells why a password_hash can't be used; its error must not hold
// the hash, which may be a password written into the wrong place.
func Load(file string, checkHash func(hash string) error) (*Config, error) {
	data, folder, err := open(file)
	if err != nil {
		return nil, err
	}
	return decode(data, &reader{file: file, folder: folder, checkHash: checkHash})
}

// decode reads the configuration in data; r knows where it comes from.
func decode(data []byte, r *reader) (*Config, error) {
	root := r.parse(data)
	if root == nil {
		return nil, r.invalid()
	}
	c := r.config(root)
	if len(r.problems) > 0 {
		return nil, r.invalid()
	}
	c.File = filepath.Join(r.folder, filepath.Base(r.file))
	return c, nil
}

// systemFile is the configuration of a service of the whole machine.
const systemFile = "/etc/oauthproxy/config.yaml"

// DefaultFile finds the configuration when none is named: the user's, for
// example ~/.config/oauthproxy/config.yaml, else the machine's.
func DefaultFile() (string, error) {
	folder, err := os.UserConfigDir()
	if err != nil {
		return firstFile(systemFile)
	}
	return firstFile(filepath.Join(folder, "oauthproxy", "config.yaml"), systemFile)
}
