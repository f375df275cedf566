package admin

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"oauthproxy/doctor"
	"oauthproxy/internal/wire"
	"oauthproxy/tokens"
)

// fake is a Running service whose parts a test gives.
type fake struct {
	accounts []Account
	err      error
	signIn   func(ctx context.Context, account string, d tokens.Dialog) (Account, error)
	check    func(ctx context.Context, e Examination, o doctor.Observer) error
	reloaded Reloaded
	status   Status
	out      []string // accounts signed out
}

func (f *fake) Accounts(context.Context) ([]Account, error) { return f.accounts, f.err }

func (f *fake) SignIn(ctx context.Context, account string, d tokens.Dialog) (Account, error) {
	return f.signIn(ctx, account, d)
}

func (f *fake) Check(ctx context.Context, e Examination, o doctor.Observer) error {
	return f.check(ctx, e, o)
}

func (f *fake) Reload(context.Context) (Reloaded, error) { return f.reloaded, f.err }

func (f *fake) Status(context.Context) (Status, error) { return f.status, f.err }

func (f *fake) SignOut(_ context.Context, account string) error {
	f.out = append(f.out, account)
	return f.err
}

// socket returns a name for a socket, short enough everywhere.
func socket(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return filepath.Join(folder, "control.sock")
}

// serve serves f on a socket until the test ends, and returns its name.
func serve(t *testing.T, f Running) string {
	t.Helper()
	path := socket(t)
	serveAt(t, path, f, nil)
	return path
}

func serveAt(t *testing.T, path string, f Running, log *slog.Logger) *Server {
	t.Helper()
	s, err := Listen(path, f, log)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { s.Serve(); close(served) }()
	t.Cleanup(func() { s.Close(); <-served })
	return s
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// person is a Dialog that remembers what it was shown.
type person struct {
	code     tokens.DeviceCode
	address  string
	pasted   chan string
	again    []string
	password wire.Secret
	err      error
}

func (p *person) Code(c tokens.DeviceCode)                      { p.code = c }
func (p *person) Address(url string)                            { p.address = url }
func (p *person) Pasted() <-chan string                         { return p.pasted }
func (p *person) PasteAgain(reason string)                      { p.again = append(p.again, reason) }
func (p *person) Password(context.Context) (wire.Secret, error) { return p.password, p.err }
