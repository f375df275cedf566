package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"

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
	apps := make(map[string]tokens.App, len(c.Apps))
	for name, app := range c.Apps {
		apps[name] = tokenApp(app)
	}
	var all []tokens.Account
	for _, a := range c.Accounts {
		app := apps[a.App]
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
		Authority:               app.Authority,
		ClientID:                app.ClientID,
		Flow:                    tokens.Flow(app.Flow),
		ClientSecret:            secretIn(app.ClientSecretFile),
		Certificate:             tokens.CertificateLoader(app.CertificateFile, app.KeyFile, password),
		FederatedToken:          secretIn(app.FederatedTokenFile),
		ManagedIdentityClientID: app.ManagedIdentityClientID,
	}
}

// warnOfApps tells at the start which of the apps in use can't get a token, or
// won't for long. Others may go on: that is no reason not to start.
func warnOfApps(c *config.Config, log *slog.Logger) {
	for _, name := range slices.Sorted(maps.Keys(c.Apps)) {
		users := mailboxesOf(c, name)
		if len(users) == 0 {
			continue
		}
		log := log.With("app", name, "accounts", len(users), "account", users[0])
		if err := tokenApp(c.Apps[name]).CheckCertificate(); err != nil {
			log.Warn("the app has no certificate that can be used", "cause", err)
		}
		if c.Apps[name].Flow == config.Password {
			log.Warn("the flow password is deprecated", "means", "a sign-in fails as soon as Entra ID asks for a second factor (MFA) "+
				"or a policy of Conditional Access applies", "remedy", "use the flow device_code or browser")
		}
	}
}

// mailboxesOf are the accounts that use the app.
func mailboxesOf(c *config.Config, app string) []string {
	var all []string
	for _, a := range c.Accounts {
		if a.App == app {
			all = append(all, a.Mailbox)
		}
	}
	return all
}

// tokenSource gives the proxy what it needs of the broker, in its own terms.
type tokenSource struct{ broker *tokens.Broker }

func (t tokenSource) AccessToken(ctx context.Context, account string) (proxy.Token, error) {
	token, err := t.broker.Token(ctx, account)
	if err != nil {
		return proxy.Token{}, tokenFailure(account, err)
	}
	return proxy.Token{Value: token.Value, Expires: token.Expires, Obtained: token.Obtained}, nil
}

func (t tokenSource) Refused(ctx context.Context, account string, token wire.Secret) error {
	if err := t.broker.Refused(ctx, account, token); err != nil {
		return tokenFailure(account, err)
	}
	return nil
}

// tokenFailure is the broker's error as the proxy tells it to a client.
func tokenFailure(account string, err error) *proxy.Failure {
	failure := &proxy.Failure{Kind: proxy.TokenUnavailable, Cause: err}
	if e, ok := errors.AsType[*tokens.Error](err); ok {
		switch {
		case e.Class == tokens.PersonNeeded:
			failure.Kind = proxy.SignInRequired
			failure.Text = proxy.Sanitize([]byte("run: " + tokens.CommandLine("login", account)))
		case e.AADSTS != 0:
			// Other texts name files and hosts, which are nobody's business
			// but the log's.
			failure.Text = proxy.Sanitize([]byte(e.Text))
		}
	}
	return failure
}
