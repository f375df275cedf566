package main

import "context"

// logout forgets what a person has signed in for.
func logout(ctx context.Context, args []string, u *ui) int {
	c, account, status := newOptions("logout", u).oneAccount(ctx, args)
	if c == nil {
		return status
	}
	defer c.close()
	if err := c.SignOut(ctx, account.Account); err != nil {
		return u.fail(err)
	}
	switch {
	case account.State == notConfigured:
		u.say("the sign-in that was kept for %s is removed", account.Account)
		u.hint("Microsoft keeps it valid: to end it there too, revoke the person's sessions in Entra ID")
		return exitWell
	case account.Person == "":
		u.say("the access token of %s is forgotten; nobody is signed in for it", account.Account)
		return exitWell
	case account.SignedInAs == "":
		u.say("nobody was signed in for %s; nothing is kept for it", account.Account)
		return exitWell
	}
	u.say("signed out of %s", account.Account)
	u.hint("Microsoft keeps the sign-in of %s valid: to end it there too, revoke the sessions in Entra ID", account.Person)
	return exitWell
}
