package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"

	"oauthproxy/doctor"
	"oauthproxy/tokens"
)

// ErrNoService says that no service answers on the socket.
var ErrNoService = errors.New("no service is running")

// Client is the Running service of another process.
type Client struct{ path string }

// Dial finds out whether a service answers on the control socket. The error is
// ErrNoService if there is none, or only its socket is left. Path may be a link
// to the socket.
func Dial(ctx context.Context, path string) (*Client, error) {
	if socket, err := os.Readlink(path); err == nil {
		path = socket
	}
	c := &Client{path}
	if _, err := c.do(ctx, request{Command: ping}, nil, nil); err != nil {
		return nil, err
	}
	return c, nil
}

// Accounts asks the service how all accounts stand.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	got, err := c.do(ctx, request{Command: accounts}, nil, nil)
	return got.Accounts, err
}

// SignIn lets a person sign in for an account of the service's.
func (c *Client) SignIn(ctx context.Context, account string, d tokens.Dialog) (Account, error) {
	got, err := c.do(ctx, request{Command: login, Account: account}, d, nil)
	if err != nil {
		return Account{}, err
	}
	if len(got.Accounts) != 1 {
		return Account{}, errors.New("the service didn't say what came of it")
	}
	return got.Accounts[0], nil
}

// SignOut makes the service forget a sign-in.
func (c *Client) SignOut(ctx context.Context, account string) error {
	_, err := c.do(ctx, request{Command: logout, Account: account}, nil, nil)
	return err
}

// Reload lets the service read its configuration again.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	got, err := c.do(ctx, request{Command: reload}, nil, nil)
	if err != nil || got.Reloaded == nil {
		return Reloaded{}, err
	}
	return *got.Reloaded, nil
}

// do makes a request and speaks with d, or tells o, until the result is there.
func (c *Client) do(ctx context.Context, r request, d tokens.Dialog, o doctor.Observer) (result, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return result{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	r.Version = version
	if err := conn.write(r); err != nil {
		return result{}, c.broken(ctx, err)
	}
	got, err := c.converse(ctx, conn, r, d, o)
	switch {
	case err != nil:
		return result{}, c.broken(ctx, err)
	case got.Error != "":
		return result{}, errors.New(got.Error)
	}
	return got, nil
}

func (c *Client) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	if len(c.path) > maxPath {
		return nil, fmt.Errorf("%w: nobody can listen on %s, which is too long", ErrNoService, c.path)
	}
	nc, err := (&net.Dialer{}).DialContext(ctx, "unix", c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, errRefused):
		return nil, fmt.Errorf("%w: nobody answers on %s", ErrNoService, c.path)
	case err != nil:
		return nil, fmt.Errorf("can't find out whether a service runs: %w", err)
	}
	return newConn(nc, maxMessage), nil
}

// converse shows what the service says, and hands it what the person answers.
func (c *Client) converse(ctx context.Context, conn *conn, r request, d tokens.Dialog, o doctor.Observer) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	var pasting sync.WaitGroup
	defer pasting.Wait()
	defer cancel()
	within := quick
	if r.Command == login || r.Command == check || r.Command == reload {
		within = slow
	}
	for {
		var m message
		if err := conn.read(&m, within); err != nil {
			return result{}, err
		}
		switch {
		case m.Result != nil:
			return *m.Result, nil
		case d == nil:
			if err := observe(m, o); err != nil {
				return result{}, err
			}
		case m.Code != nil:
			d.Code(tokens.DeviceCode{URL: m.Code.URL, UserCode: m.Code.UserCode, Expires: m.Code.Expires})
		case m.Address != "":
			d.Address(m.Address)
			pasted := d.Pasted()
			pasting.Go(func() { passOn(ctx, conn, pasted) })
		case m.PasteAgain != "":
			d.PasteAgain(m.PasteAgain)
		case m.AskPassword:
			password, err := d.Password(ctx)
			if err != nil {
				return result{}, err
			}
			if err := conn.write(answer{Password: carried{password}}); err != nil {
				return result{}, err
			}
		}
	}
}

// passOn sends what the person pastes. That it can't, converse finds out.
func passOn(ctx context.Context, conn *conn, pasted <-chan string) {
	for {
		select {
		case text, open := <-pasted:
			if !open || conn.write(answer{Pasted: newCarried(text)}) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// broken explains why there is no result.
func (c *Client) broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("the running service went away before it had answered")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the running service doesn't answer on %s: restart it", c.path)
	}
	return err
}
