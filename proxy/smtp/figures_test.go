package smtp

import (
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/script/stage"
	"oauthproxy/proxy"
)

// Each message is counted once, by what has become of it, and each refusal by
// what was refused.
func TestMessagesAreCounted(t *testing.T) {
	const (
		begun   = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
		text    = "Subject: hello\r\n\r\nhello\r\n" // 25 bytes
		message = begun + "DATA\r\n" + text + ".\r\n"
		chunk   = begun + "BDAT 5\r\nhello"
	)
	type refusals map[proxy.UpstreamRefusal]uint64
	tests := []struct {
		name     string
		upstream exchange
		says     string
		verdict  proxy.Verdict
		bytes    uint64
		refusals refusals
	}{
		{"accepted", exchange{}, message, proxy.Accepted, 25, nil},
		{"accepted in chunks", exchange{chunking: true}, chunk + "BDAT 5 LAST\r\nhello", proxy.Accepted, 10, nil},
		{"a no", exchange{words: "554 5.2.252 SendAsDenied; a@x not allowed to send as b@x"}, message, proxy.Permanent, 25, refusals{{What: proxy.RefusedMessage, Cause: "send-as-denied"}: 1}},
		{"a no for now", exchange{words: "451 strange"}, message, proxy.Temporary, 25, refusals{{What: proxy.RefusedMessage}: 1}},
		{"a no to chunks", exchange{chunking: true, words: "550 strange"}, chunk + "BDAT 0 LAST\r\n", proxy.Permanent, 5, refusals{{What: proxy.RefusedMessage}: 1}},
		{"a no to DATA", exchange{refuses: "DATA"}, begun + "DATA\r\n", proxy.Permanent, 0, refusals{{What: proxy.RefusedMessage}: 1}},
		{"ambiguous", exchange{}, begun + "DATA\r\na\n.\n\r\n.\r\n", proxy.Forbidden, 0, nil},
		{"a client that goes", exchange{}, begun + "DATA\r\nSubject", proxy.Unfinished, 0, nil},
		{"a client that goes in a chunk", exchange{chunking: true}, begun + "BDAT 5\r\nhe", proxy.Unfinished, 0, nil},
		{"an upstream that goes", exchange{verdict: func() { panic("gone") }}, message, proxy.Failed, 0, nil},
		{"a sender refused", exchange{refuses: "MAIL"}, begun + "QUIT\r\n", -1, 0, refusals{{What: proxy.RefusedSender}: 1}},
		{"a recipient refused", exchange{refuses: "RCPT"}, begun + "QUIT\r\n", -1, 0, refusals{{What: proxy.RefusedRecipient}: 1}},
	}
	for i := range tests {
		test := &tests[i]
		t.Run(test.name, func(t *testing.T) {
			s := stage.New(t, Protocol{}, stage.Options{})
			s.PlayUpstream(func(conn *tls.Conn) {
				defer func() { _ = recover() }()
				test.upstream.serve(conn)
			})
			s.Converse(t, []byte("EHLO x\r\n"+auth+test.says))
			f := s.Server.Figures()[0]
			for verdict, n := range f.Messages {
				if want := verdict == test.verdict; n > 1 || want != (n == 1) {
					t.Errorf("%d messages %v", n, verdict)
				}
			}
			if f.Up != test.bytes || f.Accepted != 1 || f.Sessions != 1 || f.LoggedIn != 0 || f.Arriving != 0 {
				t.Errorf("got %+v", f)
			}
			if len(f.Refusals) != len(test.refusals) {
				t.Errorf("refused: %v, want %v", f.Refusals, test.refusals)
			}
			for what, n := range test.refusals {
				if f.Refusals[what] != n {
					t.Errorf("refused: %v, want %v", f.Refusals, test.refusals)
				}
			}
			hasVerdict := test.verdict == proxy.Accepted || test.verdict == proxy.Temporary || test.verdict == proxy.Permanent
			if took := f.Phases[proxy.PhaseMessage]; hasVerdict != (took.Count == 1) || hasVerdict != (took.Sum > 0) {
				t.Errorf("it took %+v", took)
			}
		})
	}
}

// A mailbox's usage comes and goes with its messages.
func TestUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(Pace{MessagesPerMinute: 30, RecipientsPerDay: 100})
		want := func(want Usage) {
			t.Helper()
			want.MessagesPerMinute, want.RecipientsPerDay = 30, 100
			if got := l.Usage("alice"); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		want(Usage{})
		p := l.mailbox("alice")
		for range 2 {
			if err := p.message(time.Second, nil); err != nil || !p.reserve() {
				t.Fatal(err)
			}
		}
		want(Usage{Messages: 2, Recipients: 2})
		time.Sleep(2 * time.Second) // one turn comes back
		want(Usage{Messages: 1, Recipients: 2})
		place, err := p.arrive(time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		want(Usage{Messages: 1, Recipients: 2, Waiting: 1})
		p.leave(place)
		time.Sleep(time.Minute)
		want(Usage{Recipients: 2})
		time.Sleep(25 * time.Hour)
		want(Usage{})
		if other := l.Usage("bob"); other != (Usage{MessagesPerMinute: 30, RecipientsPerDay: 100}) || len(l.mailboxes) != 1 {
			t.Errorf("of a mailbox that has sent nothing: %+v", other)
		}
	})
}
