package main

import (
	"context"
	"fmt"
	"log/slog"

	"oauthproxy/admin"
	"oauthproxy/config"
	"oauthproxy/tokens"
)

// alone is the service that a command is itself while none runs. It holds the
// store only while it reads or writes: people take their time to sign in, and a
// service may start meanwhile.
type alone struct{ *examiner }

func openAlone(c *config.Config) (*alone, error) {
	roots, err := trusted(c.Upstream.CAFile)
	if err != nil {
		return nil, err
	}
	own, err := openSignIns(c, roots, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if own.store != nil {
		own.store.Share()
	}
	return &alone{newExaminer(c, own, roots)}, nil
}

// SignIn asks nobody for what couldn't be kept: it would end with the command.
func (a *alone) SignIn(ctx context.Context, account string, d tokens.Dialog) (admin.Account, error) {
	if a.person(account) != "" {
		if err := a.store.Try(account); err != nil {
			return admin.Account{}, fmt.Errorf("nobody can sign in now, because that couldn't be kept: %w", err)
		}
	}
	status, err := a.broker.SignIn(ctx, account, d)
	if err == nil && status.Unsaved {
		err = &lostSignIn{status}
	}
	return a.describe(status), err
}

// lostSignIn says that somebody has signed in for nothing.
type lostSignIn struct{ status tokens.Status }

func (e *lostSignIn) Error() string {
	return fmt.Sprintf("%s signed in for %s, and that is lost: %s", e.status.SignedInAs, e.status.Account, e.status.Text)
}
