package main

import (
	"context"
	"errors"
	"time"

	"oauthproxy/admin"
)

// login lets a person sign in with Microsoft, or fetches a token for an
// account that needs nobody.
func login(ctx context.Context, args []string, u *ui) int {
	c, account, status := newOptions("login", u).oneAccount(ctx, args)
	if c == nil {
		return status
	}
	defer c.close()
	if account.State == notConfigured {
		return u.failAccount(&unknownAccount{name: account.Account})
	}
	d := newDialog(ctx, u, account.Person)
	account, err := c.SignIn(ctx, account.Account, d)
	d.close()
	if err != nil {
		u.fail(err)
		if errors.As(err, new(*lostSignIn)) {
			u.hint("mend that and sign in again; where a service has started meanwhile, just sign in again")
		}
		return exitFailed
	}
	u.signedIn(account)
	return exitWell
}

// oneAccount reads the arguments of a command that is about one account, and
// finds that. It returns nil and the exit status if it can't.
func (o *options) oneAccount(ctx context.Context, args []string) (*control, admin.Account, int) {
	var none admin.Account
	rest, status, ok := o.parse(args, 1)
	switch {
	case !ok:
		return nil, none, status
	case len(rest) == 0:
		return nil, none, o.misuse(errors.New("no account given: name its mailbox"))
	}
	c, status := o.control(ctx)
	if c == nil {
		return nil, none, status
	}
	account, err := c.account(ctx, rest[0])
	if err != nil {
		c.close()
		return nil, none, o.ui.failAccount(err)
	}
	return c, account, exitWell
}

// signedIn tells what came of a login.
func (u *ui) signedIn(a admin.Account) {
	if a.SignedInAs != "" {
		u.say("signed in as %s for %s", a.SignedInAs, a.Account)
	} else {
		u.say("%s needs nobody to sign in: Entra ID gave an access token, good until %s", a.Account, clock(a.TokenExpires))
	}
	if a.Text != "" {
		u.say("%s", a.Text)
	}
	if a.Next != "" {
		u.hint("%s", a.Next)
	}
}

// clock shows a time to a person.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}
