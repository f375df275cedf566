package admin

import (
	"reflect"
	"testing"
	"time"
)

// What the service does comes over the socket as it is, however much it is.
func TestStatusOverTheSocket(t *testing.T) {
	when := time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)
	want := Status{Version: "v1", PID: 7, Since: when, Loaded: when, Warnings: []string{"one"},
		Listeners: []Listener{{Protocol: "imap", Address: "127.0.0.1:1143", TLS: "none", Sessions: 10_000}},
		Accounts:  []AccountSummary{{Account: "a", State: "ready", TokenExpires: when}},
		Mailboxes: []Mailbox{{Account: "a", Open: 3, Kept: 1, Recipients: 5, RecipientsPerDay: 10_000}}}
	for range 10_000 {
		want.Sessions = append(want.Sessions, Session{ID: "K7Q3FD", Protocol: "imap", Client: "2001:db8:1234:5678:9abc:def0:1234:5678", TLS: "TLS 1.3",
			Login: "somebody", Account: "somebody@contoso.example", Since: when, LoggedIn: true, Phase: "relaying", BytesUp: 1 << 40, BytesDown: 1 << 40})
	}
	got, err := dial(t, serve(t, &fake{status: want})).Status(t.Context())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %d sessions", err, len(got.Sessions))
	}
}
