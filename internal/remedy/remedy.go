// Package remedy knows what can go wrong between mail clients, this program,
// Entra ID and Exchange: what it means, who can mend it, and what to do. All of
// it stands in one table, remedies.yaml.
package remedy

import "strconv"

// Who can mend something.
type Who string

// Those who can.
const (
	You       Who = "you"       // whoever runs this program, or signs in
	Entra     Who = "entra"     // the administrator of Entra ID
	Exchange  Who = "exchange"  // the administrator of Exchange Online
	Network   Who = "network"   // the administrator of the network
	Microsoft Who = "microsoft" // nobody here: it passes, or is a case for support
)

// String names them in plain words.
func (w Who) String() string {
	switch w {
	case Entra:
		return "the administrator of Entra ID"
	case Exchange:
		return "the administrator of Exchange"
	case Network:
		return "the administrator of the network"
	case Microsoft:
		return "Microsoft"
	}
	return "you"
}

// Class tells who has to act before it can be tried again with success.
type Class string

// The classes.
const (
	Later         Class = "later"         // passes by itself
	Person        Class = "person"        // somebody has to sign in again
	Administrator Class = "administrator" // of the tenant: a policy or a consent
	SetUp         Class = "setup"         // the configuration or the app registration
)

// Section is a part of the table, and of the page that is made of it.
type Section string

// The sections.
const (
	SignIn   Section = "entra"   // Entra ID gives no token
	Claims   Section = "token"   // the token doesn't fit
	LogIn    Section = "login"   // Exchange refuses a login
	Sessions Section = "session" // Exchange ends a session, or asks for a pause
	Messages Section = "message" // Exchange refuses a message
	Networks Section = "network" // no connection, or no TLS
	Here     Section = "here"    // on this machine
)

// Remedy is one thing that can go wrong. Its texts may hold placeholders, see
// [Remedy.Fill].
type Remedy struct {
	ID      string  `yaml:"id"`
	Section Section `yaml:"section"` // entra where there are numbers of Entra ID's

	// How it is recognised; a remedy without any is found by its ID alone.
	AADSTS   []int    `yaml:"aadsts"`   // Entra ID's error numbers
	Protocol string   `yaml:"protocol"` // of Reply: imap, pop3 or smtp; empty: all
	Reply    []string `yaml:"reply"`    // pieces of Exchange's replies, in lower case; any of them

	// Seen are examples of what stands in the log, in the words of whoever
	// says it.
	Seen []string `yaml:"seen"`

	// Replaces are the IDs of the general remedies whose place this one takes in
	// a case, see [Remedy.For].
	Replaces []string `yaml:"replaces"`
	Case     Case     `yaml:"for"`

	Mark  string `yaml:"mark"`  // how sure it is: certain, reported or inferred
	Class Class  `yaml:"class"` // empty: none that fits
	Who   Who    `yaml:"who"`
	Says  string `yaml:"says"`  // what it means
	Tells string `yaml:"tells"` // what a mail client is told instead; empty: what is usual
	Do    string `yaml:"do"`    // the next step, in a clause

	// Fix are the exact steps, in order: a path in a portal, a change of the
	// configuration, or a command of this machine's shell.
	Fix []string `yaml:"fix"`
	// PowerShell are lines to paste into it, in order.
	PowerShell []string `yaml:"powershell"`
	// Spreads marks a change that takes up to two hours to be in force.
	Spreads bool `yaml:"spreads"`
	// Generic marks a refusal that a fresh token may help against.
	Generic bool `yaml:"generic"`
	// Usual marks what happens in good order: nobody has to mend anything.
	Usual bool `yaml:"usual"`
}

// Advice is what to do, in a clause for the log.
func (r Remedy) Advice() string {
	if r.Spreads {
		return r.Do + "; the change takes up to two hours to be in force"
	}
	return r.Do
}

// IsZero tells that there is none.
func (r Remedy) IsZero() bool { return r.ID == "" }

// All returns the whole table, in the order of the file.
func All() []Remedy { return append([]Remedy(nil), table().all...) }

// Named returns the remedy of that ID, which must exist.
func Named(id string) Remedy {
	r, found := table().byID[id]
	if !found {
		panic("no remedy " + id)
	}
	return *r
}

// ByAADSTS returns what is known about an error number of Entra ID.
func ByAADSTS(number int) (Remedy, bool) {
	if r, found := table().byAADSTS[number]; found {
		return *r, true
	}
	return Remedy{}, false
}

// LookUp returns where Microsoft explains an error number of Entra ID.
func LookUp(number int) string {
	return "https://login.microsoftonline.com/error?code=" + strconv.Itoa(number)
}

// ByReply returns what is known about a reply of Exchange's in a protocol:
// imap, pop3 or smtp.
func ByReply(protocol, text string) (Remedy, bool) {
	text = comparable(text)
	for _, r := range table().all {
		if r.Protocol != "" && r.Protocol != protocol {
			continue
		}
		for _, piece := range r.Reply {
			if holds(text, piece) {
				return r, true
			}
		}
	}
	return Remedy{}, false
}
