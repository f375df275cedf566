package doctor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"oauthproxy/internal/sandbox"
)

// sendTo examines the ward and sends a message from its first account.
func (w *ward) sendTo(t *testing.T, address string) *chart {
	t.Helper()
	w.plan.Send = address
	return w.examine(t)
}

func TestSend(t *testing.T) {
	tests := []struct {
		name, sender, person, to string
		send                     Status
		cause                    string
		seen                     string
		arrival                  Status
	}{
		{name: "to itself", sender: alice, person: alice, to: alice, send: OK, seen: "Exchange has taken a test message from alice@contoso.example: 2.0.0 OK <", arrival: OK},
		{name: "to another", sender: bob, to: alice, send: OK, arrival: OK},
		{name: "to a stranger", sender: bob, to: "somebody@example.net", send: OK, arrival: Note},
		{name: "no right in Exchange", sender: "no-rights@" + sandbox.Domain, to: alice, send: Broken, cause: "mailbox-no-rights", seen: "430 4.2.0", arrival: "none"},
		{name: "send as", sender: "send-as-denied@" + sandbox.Domain, to: alice, send: Broken, cause: "send-as-denied-app", seen: "554 5.2.252", arrival: "none"},
		{name: "full", sender: "mailbox-full@" + sandbox.Domain, to: alice, send: Broken, cause: "mailbox-full", arrival: "none"},
		{name: "connections", sender: "too-many-connections@" + sandbox.Domain, to: alice, send: Broken, cause: "too-many-connections", arrival: "none"},
		{name: "rate", sender: "throttled@" + sandbox.Domain, to: alice, send: Broken, cause: "message-rate", arrival: "none"},
		{name: "busy", sender: "server-busy@" + sandbox.Domain, to: alice, send: Broken, cause: "server-temporary", arrival: "none"},
		{name: "recipient", sender: bob, to: "unknown-recipient@" + sandbox.Domain, send: Broken, seen: "550 5.1.10", arrival: "none"},
		{name: "lost", sender: "drop-later@" + sandbox.Domain, to: alice, send: Broken, seen: "the connection was lost before the answer to the message", arrival: "none"},
		{name: "no login", sender: "smtp-disabled@" + sandbox.Domain, to: alice, send: Skipped, arrival: "none"},
		{name: "no address", sender: bob, to: "alice> NOTIFY=NEVER", send: Broken, seen: "no address", arrival: "none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWard(t, sandbox.Options{})
			w.admit(tt.sender, tt.person, sandbox.TokenOptions{})
			if tt.sender != alice {
				w.admit(alice, alice, sandbox.TokenOptions{})
			}
			c := w.sendTo(t, tt.to)
			send, arrival := c.of("send"), c.of("arrival")
			if send.Status != tt.send || send.Cause != tt.cause || !strings.Contains(send.Seen, tt.seen) || arrival.Status != tt.arrival {
				t.Errorf("%+v\n%+v", send, arrival)
			}
			if send.Status == Broken && (send.Means == "" && send.Do == "" || send.Who == "") {
				t.Errorf("it isn't explained: %+v", send)
			}
		})
	}
}

func TestSendWithoutSMTP(t *testing.T) {
	w := newWard(t, sandbox.Options{})
	w.admit(alice, alice, sandbox.TokenOptions{}, "imap")
	if f := w.sendTo(t, alice).of("send"); f.Status != Skipped {
		t.Errorf("%+v", f)
	}
}

// What becomes of a message that doesn't arrive.
func TestAwait(t *testing.T) {
	w := newWard(t, sandbox.Options{DiscardMessages: true})
	w.admit(bob, bob, sandbox.TokenOptions{})
	w.admit(alice, alice, sandbox.TokenOptions{})
	e := newExamination(w.plan, &chart{t: t})
	m := mailing{examination: e}
	for _, a := range w.plan.Accounts {
		p := e.patient(a)
		p.examine(t.Context())
		m.consider(p)
		if a.Mailbox == alice {
			m.recipient = p
		}
	}
	sent := newMessage(m.sender.Account, alice)
	f := m.await(t.Context(), sent, 100*time.Millisecond, 10*time.Millisecond)
	if f.Status != Warning || !strings.Contains(f.Seen, "isn't in the INBOX after 100ms") {
		t.Errorf("nothing arrives: %+v", f)
	}

	report := "From: <postmaster@contoso.example>\r\nSubject: Undeliverable: oauthproxy check %s\r\n\r\n"
	for _, id := range []string{"another", sent.id} {
		if err := w.Deliver(bob, fmt.Appendf(nil, report, id)); err != nil {
			t.Fatal(err)
		}
	}
	if f := m.await(t.Context(), sent, 10*time.Second, 10*time.Millisecond); f.Status != Broken {
		t.Errorf("a report: %+v", f)
	}

	// It comes while it is waited for.
	late := newMessage(m.sender.Account, alice)
	time.AfterFunc(50*time.Millisecond, func() { _ = w.Deliver(alice, []byte(late.text)) })
	if f := m.await(t.Context(), late, 10*time.Second, 10*time.Millisecond); f.Status != OK || f.Seen != "it is in the INBOX, 1s after it was sent" {
		t.Errorf("late: %+v", f)
	}
}
