package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"oauthproxy/internal/wire"
	"oauthproxy/tokens"
)

func TestAccounts(t *testing.T) {
	when := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	want := []Account{
		{Account: "alice@contoso.com", Flow: "browser", Person: "alice@contoso.com", SignedInAs: "alice@contoso.com",
			TokenExpires: when, RefreshedAt: when.Add(-time.Hour), State: "ready"},
		{Account: "scanner@contoso.com", Flow: "certificate", CredentialExpires: when, Thumbprint: "AB", State: "set-up wrong", Text: "text", Next: "next"},
	}
	got, err := dial(t, serve(t, &fake{accounts: want})).Accounts(t.Context())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

// TestManyAccounts: a list as long as configurations can be.
func TestManyAccounts(t *testing.T) {
	want := make([]Account, 10_000)
	for i := range want {
		want[i] = Account{Account: fmt.Sprintf("scanner%d@contoso.com", i), Flow: "client_secret", State: "ready", Text: strings.Repeat("x", 200)}
	}
	got, err := dial(t, serve(t, &fake{accounts: want})).Accounts(t.Context())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %d accounts, %v", len(got), err)
	}
}

func TestErrorsPass(t *testing.T) {
	f := &fake{err: errors.New("the disk is full")}
	f.signIn = func(context.Context, string, tokens.Dialog) (Account, error) { return Account{}, f.err }
	c := dial(t, serve(t, f))
	_, accountsErr := c.Accounts(t.Context())
	_, signInErr := c.SignIn(t.Context(), "a", &person{})
	for name, err := range map[string]error{"accounts": accountsErr, "sign in": signInErr, "sign out": c.SignOut(t.Context(), "a")} {
		if err == nil || err.Error() != "the disk is full" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSignOut(t *testing.T) {
	f := &fake{}
	if err := dial(t, serve(t, f)).SignOut(t.Context(), "alice@contoso.com"); err != nil {
		t.Error(err)
	}
	if want := []string{"alice@contoso.com"}; !reflect.DeepEqual(f.out, want) {
		t.Errorf("signed out: %v", f.out)
	}
}

func TestSignInByCode(t *testing.T) {
	code := tokens.DeviceCode{URL: "https://login.example/device", UserCode: "ABCD", Expires: time.Unix(1_800_000_000, 0).UTC()}
	f := &fake{signIn: func(_ context.Context, account string, d tokens.Dialog) (Account, error) {
		d.Code(code)
		return Account{Account: account, State: "ready"}, nil
	}}
	p := &person{}
	got, err := dial(t, serve(t, f)).SignIn(t.Context(), "alice@contoso.com", p)
	if want := (Account{Account: "alice@contoso.com", State: "ready"}); err != nil || !reflect.DeepEqual(got, want) || p.code != code {
		t.Errorf("got %+v, %v, shown %+v", got, err, p.code)
	}
}

// TestSignInByPasting: what is pasted arrives, also when the first try is no
// good.
func TestSignInByPasting(t *testing.T) {
	pasted := make(chan string, 2)
	f := &fake{signIn: func(_ context.Context, _ string, d tokens.Dialog) (Account, error) {
		d.Address("https://login.example/authorize")
		answers := d.Pasted()
		pasted <- <-answers
		d.PasteAgain("it isn't the address")
		pasted <- <-answers
		return Account{}, nil
	}}
	p := &person{pasted: make(chan string, 2)}
	long := strings.Repeat("\x01", 32<<10)
	p.pasted <- "first\x00"
	p.pasted <- long
	if _, err := dial(t, serve(t, f)).SignIn(t.Context(), "a", p); err != nil {
		t.Fatal(err)
	}
	if first, second := <-pasted, <-pasted; first != "first\x00" || second != long {
		t.Errorf("arrived: %.20q, %.20q", first, second)
	}
	if p.address != "https://login.example/authorize" {
		t.Errorf("shown: %s", p.address)
	}
	if want := []string{"it isn't the address"}; !reflect.DeepEqual(p.again, want) {
		t.Errorf("asked again: %q", p.again)
	}
}

func TestSignInByPassword(t *testing.T) {
	const secret = "corréct horse \"battery\""
	var got string
	f := &fake{signIn: func(ctx context.Context, _ string, d tokens.Dialog) (Account, error) {
		password, err := d.Password(ctx)
		got = password.Reveal()
		return Account{}, err
	}}
	var log strings.Builder
	path := socket(t)
	serveAt(t, path, f, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if _, err := dial(t, path).SignIn(t.Context(), "a", &person{password: wire.NewSecret(secret)}); err != nil || got != secret {
		t.Errorf("arrived %q, %v", got, err)
	}
	if strings.Contains(log.String(), "horse") {
		t.Errorf("the password is in the log:\n%s", &log)
	}
}

// TestLeaving: a person who leaves, or doesn't answer what is asked, ends the
// sign-in.
func TestLeaving(t *testing.T) {
	started, ended := make(chan struct{}), make(chan error, 1)
	f := &fake{signIn: func(ctx context.Context, _ string, d tokens.Dialog) (Account, error) {
		close(started)
		_, err := d.Password(ctx)
		ended <- err
		return Account{}, err
	}}
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := &interrupted{cancel: cancel}
		if _, err := dial(t, serve(t, f)).SignIn(ctx, "a", p); err == nil || err.Error() != "interrupted" {
			t.Errorf("got %v", err)
		}
		<-started
		if err := <-ended; err == nil {
			t.Error("the service got a password")
		}
	})
	t.Run("no answer", func(t *testing.T) {
		started = make(chan struct{})
		p := &person{err: errors.New("can't read the password")}
		if _, err := dial(t, serve(t, f)).SignIn(t.Context(), "a", p); !errors.Is(err, p.err) {
			t.Errorf("got %v", err)
		}
		if err := <-ended; err == nil {
			t.Error("the service got a password")
		}
	})
}

// interrupted is a person who presses Ctrl-C at the question.
type interrupted struct {
	person
	cancel context.CancelFunc
}

func (p *interrupted) Password(ctx context.Context) (wire.Secret, error) {
	p.cancel()
	<-ctx.Done()
	return wire.Secret{}, ctx.Err()
}

// TestClose: a sign-in under way ends with the service.
func TestClose(t *testing.T) {
	started := make(chan struct{})
	f := &fake{signIn: func(ctx context.Context, _ string, d tokens.Dialog) (Account, error) {
		close(started)
		<-ctx.Done()
		return Account{}, errors.New("the program is shutting down")
	}}
	path := socket(t)
	s := serveAt(t, path, f, nil)
	c := dial(t, path)
	failed := make(chan error)
	go func() {
		_, err := c.SignIn(t.Context(), "a", &person{})
		failed <- err
	}()
	<-started
	go s.Close()
	if err := <-failed; err == nil || err.Error() != "the program is shutting down" {
		t.Errorf("got %v", err)
	}
	s.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoService) {
		t.Errorf("after Close: %v", err)
	}
}

// TestSecretsArePrintedHidden: on the wire alone they are written out.
func TestSecretsArePrintedHidden(t *testing.T) {
	a := answer{Pasted: newCarried("hunter2"), Password: newCarried("hunter2")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(verb, a); strings.Contains(got, "hunter2") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}
