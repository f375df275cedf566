package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"oauthproxy/config"
	"oauthproxy/internal/wire"
	"oauthproxy/proxy"
	"oauthproxy/tokens"
)

// trusted returns the system's roots and those of the file.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("upstream.ca_file: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("upstream.ca_file: no certificate in %s", file)
	}
	return roots, nil
}

// entraClient returns the client for Entra ID. The web proxy is the one of the
// configuration, else the environment's.
func entraClient(roots *x509.CertPool, webProxy wire.Secret) *http.Client {
	client := tokens.NewHTTPClient(roots)
	address, err := url.Parse(webProxy.Reveal())
	if transport, ok := client.Transport.(*http.Transport); ok && err == nil && address.Host != "" {
		transport.Proxy = http.ProxyURL(address)
	}
	return client
}

func tokenAccounts(c *config.Config) []tokens.Account {
	var all []tokens.Account
	for _, a := range c.Accounts {
		app := tokenApp(c.Apps[a.App])
		app.Scopes = a.Scopes
		all = append(all, tokens.Account{Name: a.Mailbox, SignInAs: a.SignInAs, App: app})
	}
	return all
}

func tokenApp(app config.App) tokens.App {
	secretIn := func(file string) func() (wire.Secret, error) {
		return func() (wire.Secret, error) { return config.ReadSecret(file) }
	}
	var password func() (wire.Secret, error) // nil: the certificate's key isn't encrypted
	if app.CertificatePasswordFile != "" {
		password = secretIn(app.CertificatePasswordFile)
	}
	return tokens.App{
		Authority:    app.Authority,
		ClientID:     app.ClientID,
		Flow:         tokens.Flow(app.Flow),
		ClientSecret: secretIn(app.ClientSecretFile),
		Certificate: func() (tokens.Certificate, error) {
			return tokens.LoadCertificate(app.CertificateFile, app.KeyFile, password)
		},
		FederatedToken:          secretIn(app.FederatedTokenFile),
		ManagedIdentityClientID: app.ManagedIdentityClientID,
	}
}

// tokenSource gives the proxy what it needs of the broker, in its own terms.
type tokenSource struct{ broker *tokens.Broker }

func (t tokenSource) AccessToken(ctx context.Context, account string) (wire.Secret, error) {
	token, err := t.broker.Token(ctx, account)
	if err == nil {
		return token.Value, nil
	}
	failure := &proxy.Failure{Kind: proxy.TokenUnavailable, Cause: err}
	if e, ok := errors.AsType[*tokens.Error](err); ok {
		switch {
		case e.Class == tokens.PersonNeeded:
			failure.Kind = proxy.SignInRequired
			failure.Text = proxy.Sanitize([]byte("run: oauthproxy login " + account))
		case e.AADSTS != 0:
			// Other texts name files and hosts, which are nobody's business
			// but the log's.
			failure.Text = proxy.Sanitize([]byte(e.Text))
		}
	}
	return wire.Secret{}, failure
}

func (t tokenSource) Refused(account string, token wire.Secret) bool {
	return t.broker.Refused(account, token)
}
