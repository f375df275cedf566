package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
)

// What Exchange has last refused an account is shown, with what to do, until a
// login succeeds.
func TestAccountsShowRefusals(t *testing.T) {
	s := newSite(t, "device_code")
	s.change("scanner@contoso.example", "not-connected@contoso.example")
	s.change("shared@contoso.example", "bob@contoso.example")
	s.change(", sign_in_as: alice@contoso.example", "")
	s.change("mailbox: bob@contoso.example, app: staff", "mailbox: bob@contoso.example, app: devices")
	proxy, _ := s.serve()
	imap := proxy.err.await(t, `msg=listening protocol=imap address=(\S+)`)[1]
	for user, want := range map[string]string{"scanner": "a NO [UNAVAILABLE]", "shared": "a OK "} {
		if heard := logInByIMAP(t, imap, user); !strings.HasPrefix(heard, want) {
			t.Errorf("%s hears %q, want %q", user, heard, want)
		}
	}
	all := s.accounts()
	refusals := all["not-connected@contoso.example"].Refusals
	if len(refusals) != 1 || refusals[0].Protocol != "imap" || !refusals[0].Until.After(refusals[0].At) ||
		!strings.Contains(refusals[0].Text, "give the application FullAccess on the mailbox") {
		t.Errorf("the account is shown with %+v", refusals)
	}
	// The log, of the likely cause and of the refusal, agrees with that.
	for _, line := range []string{`msg="likely cause of the refusal"`, `msg=refused`} {
		if id := proxy.err.await(t, line+` .*remedy_id=(\S+)`)[1]; id != "app-without-access" {
			t.Errorf("%s names %s", line, id)
		}
	}
	if refusals := all["bob@contoso.example"].Refusals; len(refusals) > 0 {
		t.Errorf("the other account is shown with %+v", refusals)
	}
	table := runCommand(t, "", "accounts", "--config", s.config)
	if !strings.Contains(table.out, "\nnot-connected@contoso.example, imap, ") || strings.Contains(table.out, "bob@contoso.example, imap") {
		t.Errorf("the table is:\n%s", table.out)
	}
}

// logInByIMAP returns the answer to a login.
func logInByIMAP(t *testing.T, address, user string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(conn, "a LOGIN %s %q\r\n", user, localPassword)
	line, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}
