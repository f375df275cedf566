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
	o := newOptions("login", u)
	name, status, ok := o.parseAccount(args)
	if !ok {
		return status
	}
	c, status := o.control(ctx)
	if c == nil {
		return status
	}
	defer c.close()
	account, err := c.account(ctx, name)
	if err != nil {
		return u.failAccount(err)
	}
	d := newDialog(ctx, u, account.Person)
	account, err = c.SignIn(ctx, account.Account, d)
	d.close()
	if err != nil {
		return u.fail(err)
	}
	u.signedIn(account)
	return exitWell
}

// parseAccount reads the flags and the one account that a command is about.
func (o *options) parseAccount(args []string) (name string, status int, ok bool) {
	rest, status, ok := o.parse(args, 1)
	switch {
	case !ok:
		return "", status, false
	case len(rest) == 0:
		return "", o.misuse(errors.New("no account given: name its mailbox")), false
	}
	return rest[0], exitWell, true
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
