package tokens_test

import (
	"crypto/x509"
	"errors"
	"testing"

	"oauthproxy/internal/sandbox"
	"oauthproxy/internal/wire"
	"oauthproxy/tokens"
)

// The whole way against the project's stand-in, through the exported API alone.
func TestSandbox(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CAPEM())
	app := tokens.App{
		Authority: s.Authority(), ClientID: s.ClientID(), Flow: tokens.FlowClientSecret,
		ClientSecret: func() (wire.Secret, error) { return wire.NewSecret(s.ClientSecret()), nil },
		Scopes:       []string{"https://outlook.office365.com/.default"},
	}
	wrong := app
	wrong.ClientSecret = func() (wire.Secret, error) { return wire.NewSecret("wrong"), nil }
	b, err := tokens.NewBroker(
		[]tokens.Account{{Name: "right@x", App: app}, {Name: "wrong@x", App: wrong}},
		tokens.Options{HTTPClient: tokens.NewHTTPClient(roots)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()

	for range 2 {
		token, err := b.Token(t.Context(), "right@x")
		if err != nil || token.Value.IsEmpty() {
			t.Fatalf("no token: %v", err)
		}
	}
	if s.TokenRequests() != 1 {
		t.Errorf("%d token requests", s.TokenRequests())
	}
	_, err = b.Token(t.Context(), "wrong@x")
	var failure *tokens.Error
	if !errors.As(err, &failure) || failure.Class != tokens.SetUpWrong || failure.AADSTS != 7000215 || failure.TraceID == "" {
		t.Errorf("with a wrong secret: %v", err)
	}
}
