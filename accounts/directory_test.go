package accounts

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNewRefuses(t *testing.T) {
	hash := cheapHash("x")
	office := []netip.Prefix{netip.MustParsePrefix("192.168.10.0/24")}
	desk := []netip.Prefix{netip.MustParsePrefix("192.168.10.22/32")}
	tests := []struct {
		name  string
		a, b  Login // in two accounts
		wants []string
	}{
		{"no hash", Login{User: "a"}, Login{User: "b", PasswordHash: hash}, []string{`account a@x: login "a": the password hash is unusable`}},
		{"two problems", Login{User: "a"}, Login{User: "b", PasswordHash: "x"}, []string{`account a@x: login "a"`, `account b@x: login "b"`}},
		{"user twice", Login{User: "a", PasswordHash: hash}, Login{User: "A", PasswordHash: hash}, []string{`account b@x: login "A": the user is claimed already, by account a@x`}},
		{"address without networks", Login{}, Login{User: "b", PasswordHash: hash}, []string{"needs networks"}},
		{"address with a hash", Login{PasswordHash: hash, Networks: office}, Login{User: "b", PasswordHash: hash}, []string{"has a password hash"}},
		{"no network", Login{User: "a", PasswordHash: hash, Networks: make([]netip.Prefix, 1)}, Login{User: "b", PasswordHash: hash}, []string{"no network"}},
		{"addresses overlap", Login{Networks: office}, Login{Networks: desk}, []string{"claims addresses that account a@x claims"}},
		{"addresses overlap in one protocol", Login{Networks: office, Protocols: []string{"smtp", "imap"}}, Login{Networks: desk, Protocols: []string{"smtp"}}, []string{"claims addresses"}},
		{"addresses overlap, other protocols", Login{Networks: office, Protocols: []string{"imap"}}, Login{Networks: desk, Protocols: []string{"smtp"}}, nil},
		{"addresses apart", Login{Networks: desk}, Login{Networks: []netip.Prefix{netip.MustParsePrefix("192.168.10.23/32")}}, nil},
		{"a user and an address of one network", Login{User: "a", PasswordHash: hash, Networks: office}, Login{Networks: desk}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := New([]Account{{Mailbox: "a@x", Logins: []Login{test.a}}, {Mailbox: "b@x", Logins: []Login{test.b}}})
			if len(test.wants) == 0 && err != nil {
				t.Errorf("refused: %v", err)
			}
			for _, want := range test.wants {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

func TestAddressesOverlapWithinOneAccount(t *testing.T) {
	login := Login{Networks: []netip.Prefix{netip.MustParsePrefix("192.168.10.0/24")}}
	d := newDirectory(t, Account{Mailbox: "a@x", Logins: []Login{login, login}})
	if grant, ok := d.VerifyAddress("smtp", netip.MustParseAddr("192.168.10.1")); !ok || grant.Account != "a@x" {
		t.Errorf("got %+v, %v", grant, ok)
	}
}

func TestFoldUser(t *testing.T) {
	same := [][2]string{{"Alice", "aLICE"}, {"ß", "ẞ"}, {"ΣΑΜΟΣ", "σαμος"}, {"K", "\u212a"}, {"j\xfcrgen", "JÜRGEN"}, {"", ""}}
	for _, pair := range same {
		if FoldUser(pair[0]) != FoldUser(pair[1]) {
			t.Errorf("%q and %q differ", pair[0], pair[1])
		}
	}
	differ := [][2]string{{"a", "b"}, {"ss", "ß"}, {"a", "a "}, {"a\xfe", "a\xff"}, {"i", "ı"}}
	for _, pair := range differ {
		if FoldUser(pair[0]) == FoldUser(pair[1]) {
			t.Errorf("%q and %q are the same", pair[0], pair[1])
		}
	}
}
