package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// logInIMAP connects go-imap's client.
func logInIMAP(t *testing.T, s *Sandbox, user string) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialTLS(s.IMAP(), &imapclient.Options{TLSConfig: clientTLS(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Authenticate(xoauth2{user, s.IssueToken("", TokenOptions{})}); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestIMAPBytes checks that a message comes back as it was, however odd.
func TestIMAPBytes(t *testing.T) {
	messages := []string{
		"Subject: ordinary\r\n\r\nbody\r\n",
		"no header at all\r\n",
		"Subject: no body",
		" leading blank\r\n\r\n",
		"Subject: bare LF\n\nbody\n",
		"Subject: bytes\r\n\r\n\x00\x01\xff\r\r\n.\r\n",
		"",
	}
	s := start(t, Options{})
	for _, m := range messages {
		if err := s.Deliver(alice, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	got := fetchAll(t, logInIMAP(t, s, alice), inbox)
	if len(got) != len(messages) {
		t.Fatalf("%d messages, want %d", len(got), len(messages))
	}
	for i, m := range messages {
		if got[i] != m {
			t.Errorf("message %d = %q, want %q", i+1, got[i], m)
		}
	}
}

// imapSearches are searches among the messages of deliverThree.
var imapSearches = []struct {
	name     string
	criteria imap.SearchCriteria
	want     string
}{
	{"subject", imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "TWO"}}}, "2"},
	{"body", imap.SearchCriteria{Body: []string{"text of t"}}, "2:3"},
	{"not", imap.SearchCriteria{Not: []imap.SearchCriteria{{Text: []string{"one"}}}}, "2:3"},
	{"or", imap.SearchCriteria{Or: [][2]imap.SearchCriteria{{{Body: []string{"one"}}, {Body: []string{"three"}}}}}, "1,3"},
	{"set", imap.SearchCriteria{SeqNum: []imap.SeqSet{{{Start: 2, Stop: 0}}}}, "2:3"},
	{"last", imap.SearchCriteria{UID: []imap.UIDSet{{{Start: 9, Stop: 0}}}}, "3"},
	{"unseen", imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}}, "1:3"},
	{"seen", imap.SearchCriteria{Flag: []imap.Flag{imap.FlagSeen}}, ""},
	{"larger", imap.SearchCriteria{Larger: 10000}, ""},
	{"smaller", imap.SearchCriteria{Smaller: 10000}, "1:3"},
	{"sent before", imap.SearchCriteria{SentBefore: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}, ""},
	{"sent since", imap.SearchCriteria{SentSince: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}, "1:3"},
	{"arrived before", imap.SearchCriteria{Before: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}, ""},
}

func deliverThree(t *testing.T, s *Sandbox) {
	t.Helper()
	for _, subject := range []string{"one", "two", "three"} {
		message := "Subject: " + subject + "\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\ntext of " + subject + "\r\n"
		if err := s.Deliver(alice, []byte(message)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIMAPSearch(t *testing.T) {
	s := start(t, Options{})
	deliverThree(t, s)
	c := logInIMAP(t, s, alice)
	if _, err := c.Select("inbox", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range imapSearches {
		data, err := c.Search(&tt.criteria, nil).Wait()
		if err != nil {
			t.Fatal(err)
		}
		if got := data.All.String(); got != tt.want {
			t.Errorf("SEARCH %s = %q, want %q", tt.name, got, tt.want)
		}
		if data, err = c.UIDSearch(&tt.criteria, nil).Wait(); err != nil {
			t.Fatal(err)
		}
		// The folder is new, so UIDs and numbers are the same.
		if got := data.All.String(); got != tt.want {
			t.Errorf("UID SEARCH %s = %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestIMAPMailbox moves, copies and deletes messages and folders.
func TestIMAPMailbox(t *testing.T) {
	s := start(t, Options{})
	deliverThree(t, s)
	c := logInIMAP(t, s, alice)
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	must("CREATE", c.Create("Archive", nil).Wait())
	_, err := c.Select(inbox, nil).Wait()
	must("SELECT", err)
	_, err = c.Move(imap.SeqSetNum(1), "Archive").Wait()
	must("MOVE", err)
	deleted := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}
	_, err = c.Store(imap.SeqSetNum(1), deleted, nil).Collect()
	must("STORE", err)
	_, err = c.Expunge().Collect()
	must("EXPUNGE", err)
	_, err = c.Copy(imap.SeqSetNum(1), "Archive").Wait()
	must("COPY", err)

	if got := s.Messages(alice); len(got) != 1 || !strings.Contains(string(got[0]), "three") {
		t.Errorf("INBOX = %q, want the third message alone", got)
	}
	status, err := c.Status("Archive", &imap.StatusOptions{NumMessages: true, NumUnseen: true}).Wait()
	must("STATUS", err)
	if *status.NumMessages != 2 || *status.NumUnseen != 2 {
		t.Errorf("Archive has %d messages, %d of them unseen, want 2 and 2", *status.NumMessages, *status.NumUnseen)
	}
	must("RENAME", c.Rename("Archive", "Old", nil).Wait())
	must("DELETE", c.Delete("Old").Wait())
	if err := c.Delete(inbox).Wait(); err == nil {
		t.Error("INBOX could be deleted")
	}
}

func TestIMAPFetchItems(t *testing.T) {
	s := start(t, Options{})
	s.Deliver(alice, []byte("Subject: parts\r\nFrom: Bob <bob@contoso.example>\r\n\r\n0123456789\r\n"))
	talk(t, s, s.IMAP(), imapLogin+`
		C: A2 SELECT INBOX
		S: * 1 EXISTS
		S: * 0 RECENT
		S~ \* OK \[UNSEEN 1\] .*
		S~ \* OK \[UIDVALIDITY .*
		S~ \* OK \[UIDNEXT 2\] .*
		S~ \* FLAGS .*
		S~ \* OK \[PERMANENTFLAGS .*
		S~ A2 OK .*
		C: A3 FETCH 1 (UID RFC822.SIZE FLAGS)
		S: * 1 FETCH (UID 1 FLAGS () RFC822.SIZE 63)
		S~ A3 OK .*
		C: A4 FETCH * BODY.PEEK[]<2000.10>
		S: * 1 FETCH (BODY[]<2000> {0}
		S: )
		S~ A4 OK .*
		C: A5 FETCH 1 BODY.PEEK[]<0.7>
		S: * 1 FETCH (BODY[]<0> {7}
		S: Subject)
		S~ A5 OK .*
		C: A6 UID FETCH 1 BODY[TEXT]
		S: * 1 FETCH (UID 1 FLAGS (\Seen) BODY[TEXT] {12}
		S: 0123456789
		S: )
		S~ A6 OK .*
		C: A7 FETCH 1 (ENVELOPE BODYSTRUCTURE)
		S~ \* 1 FETCH \(ENVELOPE \(NIL "parts" \(\("Bob" NIL "bob" "contoso.example"\)\).*BODYSTRUCTURE \("text" "plain".*\)
		S~ A7 OK .*`)
}
