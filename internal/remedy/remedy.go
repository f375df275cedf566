// Package remedy knows what can go wrong between this program, Entra ID and
// Exchange: who can mend it, what it means, and what to do. All of it stands in
// one table, remedies.yaml.
package remedy

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

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

// Class tells what kind of trouble with Entra ID it is.
type Class string

// The classes.
const (
	Later         Class = "later"         // passes by itself
	Person        Class = "person"        // somebody has to sign in again
	Administrator Class = "administrator" // of the tenant: a policy or a consent
	SetUp         Class = "setup"         // the configuration or the app registration
)

// Remedy is one thing that can go wrong. Its texts may hold placeholders, see
// [Remedy.Fill].
type Remedy struct {
	ID string `yaml:"id"`

	// How it is recognised; a remedy without any is found by its ID alone.
	AADSTS   []int    `yaml:"aadsts"`   // Entra ID's error numbers
	Protocol string   `yaml:"protocol"` // of Reply: imap, pop3 or smtp; empty: all
	Reply    []string `yaml:"reply"`    // pieces of Exchange's replies, in lower case; any of them
	Network  string   `yaml:"network"`  // a kind of failure of the network or of TLS

	Mark  string `yaml:"mark"` // how sure it is: certain, reported or inferred
	Class Class  `yaml:"class"`
	Who   Who    `yaml:"who"`
	Says  string `yaml:"says"`  // what it means
	Tells string `yaml:"tells"` // what a mail client is told instead; empty: what is usual
	Do    string `yaml:"do"`    // the next step, in a clause

	// Fix are the exact steps, in order: a path in a portal, or a line of
	// PowerShell.
	Fix []string `yaml:"fix"`
	// Spreads marks a change that takes up to two hours to be in force.
	Spreads bool `yaml:"spreads"`
	// Generic marks a refusal that a fresh token may help against.
	Generic bool `yaml:"generic"`
	// Usual marks what happens in good order: nobody has to mend anything.
	Usual bool `yaml:"usual"`
}

//go:embed remedies.yaml
var file []byte

// table is the file, read when it is first needed.
var table = sync.OnceValue(func() []Remedy {
	var all []Remedy
	if err := yaml.Unmarshal(file, &all); err != nil {
		panic(fmt.Sprintf("remedies.yaml: %v", err)) // a part of the program; a test reads it
	}
	return all
})

// All returns the whole table, in the order of the file.
func All() []Remedy { return append([]Remedy(nil), table()...) }

// Named returns the remedy of that ID, which must exist.
func Named(id string) Remedy {
	for _, r := range table() {
		if r.ID == id {
			return r
		}
	}
	panic("no remedy " + id)
}

// ByAADSTS returns what is known about an error number of Entra ID.
func ByAADSTS(number int) (Remedy, bool) {
	for _, r := range table() {
		for _, n := range r.AADSTS {
			if n == number {
				return r, true
			}
		}
	}
	return Remedy{}, false
}

// ByReply returns what is known about a reply of Exchange's in a protocol.
func ByReply(protocol, text string) (Remedy, bool) {
	text = strings.ToLower(text)
	for _, r := range table() {
		if r.Protocol != "" && r.Protocol != protocol {
			continue
		}
		for _, piece := range r.Reply {
			if strings.Contains(text, piece) {
				return r, true
			}
		}
	}
	return Remedy{}, false
}

// Fill returns the remedy with its placeholders replaced: {mailbox} by
// facts["mailbox"]. What isn't known is named in capitals: MAILBOX.
func (r Remedy) Fill(facts map[string]string) Remedy {
	fill := func(text string) string { return fillText(text, facts) }
	r.Says, r.Tells, r.Do = fill(r.Says), fill(r.Tells), fill(r.Do)
	fixes := make([]string, len(r.Fix))
	for i, line := range r.Fix {
		fixes[i] = fill(line)
	}
	r.Fix = fixes
	return r
}

// fillText replaces the placeholders of a text, once: what is filled in isn't
// looked at again.
func fillText(text string, facts map[string]string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, found := strings.Cut(rest, "}")
		if !found {
			b.WriteString("{" + rest)
			return b.String()
		}
		if fact, known := facts[name]; known && fact != "" {
			b.WriteString(fact)
		} else {
			b.WriteString(strings.ToUpper(name))
		}
		text = after
	}
}
