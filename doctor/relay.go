package doctor

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"oauthproxy/internal/remedy"
)

// openRelay tries whether an SMTP listener takes mail of somebody who has not
// logged in, for people elsewhere. No message is sent.
func (e *examination) openRelay(ctx context.Context, l Listener, answers bool) {
	if ctx.Err() != nil {
		return
	}
	found := e.probe("open relay", l.name(), "")
	if !answers {
		found(Finding{Status: Skipped, Seen: "the listener can't be talked to from here"})
		return
	}
	bounded, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	t := relayTest{Listener: l}
	for _, target := range l.targets() {
		t.tryFrom(bounded, target)
	}
	if ctx.Err() == nil {
		found(t.finding())
	}
}

// relayTest is what has been tried on a listener, and what came of it.
type relayTest struct {
	Listener
	accepted string       // how a recipient was accepted; empty: none was
	known    []netip.Addr // our addresses that need no login
	refusing []netip.Addr // our addresses that have been refused
	tries    int          // how many were refused
	failed   error        // the last connection on which nothing could be tried
	askedFor bool         // a login has been tried: once is enough
}

// finding is what the test comes to.
func (t *relayTest) finding() Finding {
	switch {
	case t.accepted != "":
		return wrong(Broken, "it takes mail for anybody without a login: "+t.accepted, remedy.Named("open-relay"), t.facts())
	case len(t.known) > 0:
		return wrong(Note, "this machine ("+list(t.known)+") is on the list of devices that may send without a login, so every program on it may",
			remedy.Named("device-is-this-machine"), t.facts())
	case len(t.refusing) > 0:
		return well(fmt.Sprintf("without a login it takes mail for nobody: refused from %s, %d tries", list(t.refusing), t.tries))
	case t.failed != nil:
		return Finding{Status: Skipped, Seen: "it couldn't be tried: " + explain(t.failed).seen}
	}
	return Finding{Status: Skipped, Seen: "it lets no address of this machine in"}
}

func list(addresses []netip.Addr) string {
	var all []string
	for _, a := range addresses {
		all = append(all, a.String())
	}
	return strings.Join(all, " and ")
}

// tryFrom tries the listener at one address, in clear and over TLS as far as
// its mode has them.
func (t *relayTest) tryFrom(ctx context.Context, target string) {
	modes := []string{t.TLS}
	if t.TLS == "starttls" || t.TLS == "auto" {
		modes = []string{"none", "starttls"}
	}
	for _, mode := range modes {
		if t.accepted != "" {
			return
		}
		if err := t.tryOver(ctx, target, mode); err != nil {
			t.failed = err
		}
	}
}

// tryOver makes one connection and tries everything on it.
func (t *relayTest) tryOver(ctx context.Context, target, mode string) error {
	v, err := visit(ctx, t.Protocol, target)
	if err != nil {
		return err
	}
	defer v.leave()
	if !t.admits(v.from) {
		return nil
	}
	if err := v.begin(mode); err != nil {
		return err
	}
	for i, trick := range tricks {
		if i == 1 { // the first goes without
			if _, err := v.hello(); err != nil {
				return err
			}
		}
		if ended, err := t.try(v, trick); ended || err != nil {
			return err
		}
	}
	if !t.askedFor && (mode != "none" || t.TLS == "none") {
		if ended, err := t.tryLogin(v); ended || err != nil {
			return err
		}
	}
	return v.must("QUIT")
}

// trick is a sender and a recipient. %s is the host name of the listener.
type trick struct{ name, sender, recipient string }

const (
	strangeSender    = "<check@oauthproxy.invalid>"
	strangeRecipient = "<relay-test@oauthproxy.invalid>"
)

// tricks are what open relays have been found by since there are any.
var tricks = []trick{
	{"without EHLO", strangeSender, strangeRecipient},
	{"after EHLO", strangeSender, strangeRecipient},
	{"without a sender", "<>", strangeRecipient},
	{"with a quoted address", strangeSender, `<"relay-test@oauthproxy.invalid"@%s>`},
	{"with % in the address", strangeSender, "<relay-test%%oauthproxy.invalid@%s>"},
	{"with ! in the address", strangeSender, "<oauthproxy.invalid!relay-test@%s>"},
	{"with a source route", strangeSender, "<@%s:relay-test@oauthproxy.invalid>"},
}

// try tries one of them. The rest needn't be tried if ended.
func (t *relayTest) try(v *visitor, trick trick) (ended bool, err error) {
	agreed, err := v.agreesTo("MAIL FROM:" + trick.sender)
	if err != nil {
		return true, err
	}
	if agreed && within(t.Devices, v.from) {
		t.known = addOnce(t.known, v.from) // a recipient would go on to Exchange
		return true, v.must("RSET")
	}
	recipient := trick.recipient
	if strings.Contains(recipient, "%s") {
		recipient = fmt.Sprintf(recipient, v.hostName)
	}
	accepted, err := v.agreesTo("RCPT TO:" + recipient)
	if err != nil {
		return true, err
	}
	if accepted {
		t.accepted = fmt.Sprintf("%s, from %s, RCPT TO:%s is accepted", trick.name, v.from, recipient)
		return true, v.must("RSET")
	}
	t.refusing = addOnce(t.refusing, v.from)
	t.tries++
	return false, v.must("RSET")
}

// tryLogin tries it once more behind a login that has failed: by a user that
// nobody is, so that nobody is locked out.
func (t *relayTest) tryLogin(v *visitor) (ended bool, err error) {
	t.askedFor = true
	madeUp := "\x00check@oauthproxy.invalid\x00" + rand.Text()
	if _, err := v.agreesTo("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte(madeUp))); err != nil {
		return true, err
	}
	return t.try(v, trick{"after a failed login", strangeSender, strangeRecipient})
}

func addOnce(addresses []netip.Addr, a netip.Addr) []netip.Addr {
	if slices.Contains(addresses, a) {
		return addresses
	}
	return append(addresses, a)
}
