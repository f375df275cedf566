package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"oauthproxy/admin"
	"oauthproxy/config"
	"oauthproxy/tokens"
)

const socketName = "control.sock"

// controlSocket is where the service listens for commands: in the directory
// that systemd made for that (RuntimeDirectory=), else in the state directory.
func controlSocket(stateDirectory string) string {
	folder, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	if folder == "" {
		folder = stateDirectory
	}
	return filepath.Join(folder, socketName)
}

// listenForCommands opens the control socket. Commands, which systemd doesn't
// start, look for it in the state directory.
func listenForCommands(stateDirectory string, s admin.Running, log *slog.Logger) (*admin.Server, error) {
	if err := os.MkdirAll(stateDirectory, 0o700); err != nil {
		return nil, err
	}
	server, err := admin.Listen(controlSocket(stateDirectory), s, log)
	if err != nil {
		return nil, err
	}
	if err := server.LinkFrom(filepath.Join(stateDirectory, socketName)); err != nil {
		server.Close()
		return nil, fmt.Errorf("commands couldn't find the control socket: %w", err)
	}
	return server, nil
}

// control is the service that a command acts on: the running one, or what the
// command itself builds of the configuration while none runs.
type control struct {
	admin.Service
	isRunning bool
	close     func()
}

// control finds the service. It returns nil and the exit status if there is
// no way to it. The running one is found without reading the secrets that the
// configuration names, which may be for the service alone.
func (o *options) control(ctx context.Context) (*control, int) {
	file, status := o.file()
	if status != exitWell {
		return nil, status
	}
	client, err := dialService(ctx, file)
	switch {
	case err == nil:
		return &control{Service: client, isRunning: true, close: func() {}}, exitWell
	case errors.Is(err, fs.ErrPermission):
		o.ui.fail(err)
		o.ui.hint("run this as root, or as the user that the service runs as")
		return nil, exitFailed
	case !errors.Is(err, admin.ErrNoService):
		return nil, o.ui.fail(err)
	}
	c, status := o.configuration()
	if c == nil {
		return nil, status
	}
	own, err := openAlone(c)
	if err != nil {
		return nil, o.ui.failLocked(err, "that process doesn't answer on its control socket: wait until it has started or ended, else restart it")
	}
	return &control{Service: own, close: own.Close}, exitWell
}

// runningService finds the service for what it alone can be asked. It returns nil
// and the exit status if none runs.
func (o *options) runningService(ctx context.Context) (*admin.Client, int) {
	file, status := o.file()
	if status != exitWell {
		return nil, status
	}
	client, err := dialService(ctx, file)
	if err != nil {
		o.ui.fail(err)
		if errors.Is(err, admin.ErrNoService) {
			o.ui.hint("start it with: oauthproxy serve")
		}
		return nil, exitFailed
	}
	return client, exitWell
}

// dialService returns the running service of the configuration.
func dialService(ctx context.Context, file string) (*admin.Client, error) {
	state, err := config.FindStateDirectory(file)
	if err != nil || state == "" {
		return nil, admin.ErrNoService // the configuration's problems are told when it is loaded
	}
	return admin.Dial(ctx, filepath.Join(state, socketName))
}

// failLocked tells why the sign-ins can't be opened; the hint is for when
// another process has them open.
func (u *ui) failLocked(err error, hint string) int {
	u.fail(err)
	if errors.Is(err, tokens.ErrLocked) {
		u.hint("%s", hint)
	}
	return exitFailed
}

// account returns the account that was meant, in capitals or not.
func (c *control) account(ctx context.Context, name string) (admin.Account, error) {
	all, err := c.Accounts(ctx)
	if err != nil {
		return admin.Account{}, err
	}
	var names []string
	for _, a := range all {
		if strings.EqualFold(a.Account, name) {
			return a, nil
		}
		names = append(names, a.Account)
	}
	return admin.Account{}, &unknownAccount{name, config.Nearest(name, names)}
}

// unknownAccount says that the configuration has no account of that name.
type unknownAccount struct{ name, near string }

func (e *unknownAccount) Error() string {
	return fmt.Sprintf("there is no account %q in the configuration", e.name)
}

// failAccount tells why a command failed that is about one account.
func (u *ui) failAccount(err error) int {
	u.fail(err)
	if unknown, ok := errors.AsType[*unknownAccount](err); ok {
		if unknown.near != "" {
			u.hint("did you mean %s?", unknown.near)
		} else {
			u.hint("for the accounts there are, run: oauthproxy accounts")
		}
	}
	return exitFailed
}
