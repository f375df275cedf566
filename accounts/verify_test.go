package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/wire"
)

var testAccounts = []Account{
	{Mailbox: "alice@contoso.com", Logins: []Login{
		{User: "Alice@contoso.com", PasswordHash: cheapHash("alice's")},
		{User: "jürgen", PasswordHash: cheapHash("wörd")},
		{User: "ΣΑΜΟΣ", PasswordHash: cheapHash("samos")},
		{User: "bytes", PasswordHash: cheapHash("w\xf6rd"), Protocols: []string{"imap"}},
		{User: "blunt", PasswordHash: "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"},
	}},
	{Mailbox: "scanner@contoso.com", Logins: []Login{
		{User: "copier1", PasswordHash: cheapHash("secret"), Device: true, Protocols: []string{"smtp"},
			Networks: []netip.Prefix{netip.MustParsePrefix("192.168.10.21/32"), netip.MustParsePrefix("2001:db8::/64")}},
		{Device: true, Protocols: []string{"smtp"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.168.10.22/32")}},
	}},
}

func attempt(protocol, user, password, addr string) Attempt {
	return Attempt{Protocol: protocol, User: user, Password: wire.NewSecret(password), Address: netip.MustParseAddr(addr)}
}

func TestVerify(t *testing.T) {
	alice := func(login string) Grant { return Grant{Account: "alice@contoso.com", Login: login} }
	copier := Grant{Account: "scanner@contoso.com", Login: "copier1", Device: true}
	tests := []struct {
		name    string
		attempt Attempt
		want    Grant
		refused string
	}{
		{"right", attempt("imap", "Alice@contoso.com", "alice's", "127.0.0.1"), alice("Alice@contoso.com"), ""},
		{"user in another case", attempt("imap", "aLICE@CONTOSO.com", "alice's", "127.0.0.1"), alice("Alice@contoso.com"), ""},
		{"password in another case", attempt("imap", "alice@contoso.com", "Alice's", "127.0.0.1"), Grant{}, "wrong password"},
		{"password with a blank", attempt("imap", "alice@contoso.com", "alice's ", "127.0.0.1"), Grant{}, "wrong password"},
		{"no password", attempt("imap", "alice@contoso.com", "", "127.0.0.1"), Grant{}, "wrong password"},
		{"unknown user", attempt("imap", "bob", "alice's", "127.0.0.1"), Grant{}, "unknown user"},
		{"no user", attempt("smtp", "", "", "192.168.10.22"), Grant{}, "unknown user"},
		{"mailbox as user", attempt("smtp", "scanner@contoso.com", "secret", "192.168.10.21"), Grant{}, "unknown user"},
		{"umlaut in another case", attempt("imap", "JÜRGEN", "wörd", "127.0.0.1"), alice("jürgen"), ""},
		{"user and password in Latin-1", attempt("imap", "j\xfcrgen", "w\xf6rd", "127.0.0.1"), alice("jürgen"), ""},
		{"final sigma", attempt("imap", "σαμος", "samos", "127.0.0.1"), alice("ΣΑΜΟΣ"), ""},
		{"hash of Latin-1 bytes", attempt("imap", "bytes", "w\xf6rd", "127.0.0.1"), alice("bytes"), ""},
		{"hash of Latin-1 bytes, UTF-8 sent", attempt("imap", "bytes", "wörd", "127.0.0.1"), Grant{}, "wrong password"},
		{"bcrypt", attempt("pop3", "blunt", "correct horse", "127.0.0.1"), alice("blunt"), ""},
		{"bcrypt, over 72 bytes", attempt("pop3", "blunt", strings.Repeat("correct horse", 10), "127.0.0.1"), Grant{}, "wrong password"},
		{"network", attempt("smtp", "copier1", "secret", "192.168.10.21"), copier, ""},
		{"network, mapped address", attempt("smtp", "copier1", "secret", "::ffff:192.168.10.21"), copier, ""},
		{"second network, with a zone", attempt("smtp", "copier1", "secret", "2001:db8::5%eth0"), copier, ""},
		{"other network", attempt("smtp", "copier1", "secret", "192.168.10.23"), Grant{}, "may not be used from 192.168.10.23"},
		{"other network, wrong password", attempt("smtp", "copier1", "wrong", "192.168.10.23"), Grant{}, "may not be used from 192.168.10.23"},
		{"other protocol", attempt("imap", "copier1", "secret", "192.168.10.21"), Grant{}, "may not be used over imap"},
	}
	d := newDirectory(t, testAccounts...)
	// Twice: the second round finds the successes remembered.
	for _, round := range []string{"first", "again"} {
		for _, test := range tests {
			t.Run(test.name+", "+round, func(t *testing.T) {
				got, err := d.Verify(t.Context(), test.attempt)
				if got != test.want {
					t.Errorf("got %+v, want %+v", got, test.want)
				}
				wantRefusal(t, err, test.refused, test.attempt.Password)
			})
		}
	}
}

func wantRefusal(t *testing.T, err error, reason string, password wire.Secret) {
	t.Helper()
	if reason == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var refusal *Refusal
	if !errors.Is(err, ErrRefused) || !errors.As(err, &refusal) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if !strings.Contains(refusal.Reason, reason) {
		t.Errorf("the reason is %q, want %q", refusal.Reason, reason)
	}
	if secret := password.Reveal(); len(secret) > 5 && strings.Contains(err.Error(), secret) {
		t.Error("the error holds the password")
	}
}

func TestVerifyAddress(t *testing.T) {
	d := newDirectory(t, testAccounts...)
	tests := []struct {
		name, protocol, addr string
		want                 bool
	}{
		{"right", "smtp", "192.168.10.22", true},
		{"mapped", "smtp", "::ffff:192.168.10.22", true},
		{"other address", "smtp", "192.168.10.23", false},
		{"other protocol", "imap", "192.168.10.22", false},
		{"address of a login with a password", "smtp", "192.168.10.21", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			grant, ok := d.VerifyAddress(test.protocol, netip.MustParseAddr(test.addr))
			want := Grant{}
			if test.want {
				want = Grant{Account: "scanner@contoso.com", Login: "192.168.10.22/32", Device: true}
			}
			if ok != test.want || grant != want {
				t.Errorf("got %+v, %v", grant, ok)
			}
		})
	}
	if _, ok := d.VerifyAddress("smtp", netip.Addr{}); ok {
		t.Error("no address was let in")
	}
}

// Whatever is wrong with an attempt, it hashes as often and as costly as a
// wrong password does.
func TestRefusalsCostTheSame(t *testing.T) {
	d := newDirectory(t, testAccounts...)
	costliest := slices.MaxFunc([]hash{d.users["BLUNT"].hash, d.users["COPIER1"].hash}, func(a, b hash) int { return a.cost() - b.cost() })
	copier, byteHash := d.users["COPIER1"].hash, d.users["BYTES"].hash
	if _, err := d.Verify(t.Context(), attempt("smtp", "copier1", "secret", "192.168.10.21")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		attempt Attempt
		want    []hash
	}{
		{"wrong password", attempt("smtp", "copier1", "wrong", "192.168.10.21"), []hash{copier}},
		{"right and remembered, wrong network", attempt("smtp", "copier1", "secret", "192.168.10.99"), []hash{copier}},
		{"right and remembered, wrong protocol", attempt("pop3", "copier1", "secret", "192.168.10.21"), []hash{copier}},
		{"wrong password and network", attempt("smtp", "copier1", "wrong", "192.168.10.99"), []hash{copier}},
		{"wrong password in Latin-1", attempt("smtp", "copier1", "wr\xf6ng", "192.168.10.21"), []hash{copier, copier}},
		{"right at the first form, wrong protocol", attempt("pop3", "bytes", "w\xf6rd", "127.0.0.1"), []hash{byteHash, byteHash}},
		{"unknown user", attempt("smtp", "nobody", "secret", "192.168.10.21"), []hash{costliest}},
		{"unknown user in Latin-1", attempt("smtp", "nob\xf6dy", "s\xe9cret", "192.168.10.21"), []hash{costliest, costliest}},
		{"right and remembered", attempt("smtp", "copier1", "secret", "192.168.10.21"), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var count counter
			count.watch(d)
			_, _ = d.Verify(t.Context(), test.attempt)
			if !slices.Equal(count.used, test.want) {
				t.Errorf("hashed %v, want %v", count.used, test.want)
			}
		})
	}
}

func TestUnknownUserWithoutAnyLogin(t *testing.T) {
	d := newDirectory(t)
	var count counter
	count.watch(d)
	_, err := d.Verify(t.Context(), attempt("imap", "alice", "", "127.0.0.1"))
	wantRefusal(t, err, "unknown user", wire.Secret{})
	if len(count.used) != 1 || count.used[0].cost() < newArgon2id("").cost() {
		t.Errorf("hashed %v", count.used)
	}
}

func TestSuccessIsRememberedForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, testAccounts...)
		var count counter
		count.watch(d)
		verify := func(password string, hashings int) {
			t.Helper()
			count.used = nil
			_, _ = d.Verify(t.Context(), attempt("imap", "alice@contoso.com", password, "127.0.0.1"))
			if len(count.used) != hashings {
				t.Errorf("%d hashings, want %d", len(count.used), hashings)
			}
		}
		verify("alice's", 1)
		verify("alice's", 0)
		verify("wrong", 1)
		verify("wrong", 1) // a failure is never remembered
		time.Sleep(rememberFor - time.Second)
		verify("alice's", 0)
		time.Sleep(time.Second)
		verify("alice's", 1)
	})
}

// Twenty sessions that start at once with the same right password hash it once.
func TestSessionsOfOneClientHashOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, testAccounts...)
		proceed := make(chan struct{})
		hashings := 0
		d.matches = func(h hash, password string) bool {
			hashings++ // one client: never two at once
			<-proceed
			return h.matches(password)
		}
		results := make(chan error, 20)
		for range cap(results) {
			go func() {
				_, err := d.Verify(t.Context(), attempt("imap", "alice@contoso.com", "alice's", "127.0.0.1"))
				results <- err
			}()
		}
		synctest.Wait()
		close(proceed)
		for range cap(results) {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if hashings != 1 {
			t.Errorf("%d hashings", hashings)
		}
	})
}

// While strangers fill the queue, who is remembered gets in.
func TestBusyAndRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, testAccounts...)
		known := attempt("imap", "alice@contoso.com", "alice's", "127.0.0.1")
		if _, err := d.Verify(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		proceed := make(chan struct{})
		d.matches = func(hash, string) bool { <-proceed; return false }
		for i := range maxQueue {
			go func() { _, _ = d.Verify(ctx, attempt("imap", "guess", "x", fmt.Sprintf("10.0.%d.%d", i/256, i%256))) }()
		}
		synctest.Wait()
		if _, err := d.Verify(t.Context(), attempt("imap", "alice@contoso.com", "wrong", "127.0.0.1")); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v, want busy", err)
		}
		if _, err := d.Verify(t.Context(), known); err != nil {
			t.Errorf("remembered, but: %v", err)
		}
		cancel()
		close(proceed)
		synctest.Wait()
	})
}

func BenchmarkVerifyRemembered(b *testing.B) {
	d := newDirectory(b, testAccounts...)
	a := attempt("smtp", "copier1", "secret", "192.168.10.21")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Verify(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
}
