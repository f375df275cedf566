package main

import (
	"context"

	"oauthproxy/accounts"
	"oauthproxy/internal/wire"
)

// passwd makes the hash of a password, and with --generate the password too.
func passwd(ctx context.Context, args []string, u *ui) int {
	o := newOptions("passwd", u)
	generate := o.Bool("generate", false, "make a password that is easy to type on a device's panel")
	if _, status, ok := o.parse(args, 0); !ok {
		return status
	}
	choose := u.newPassword
	if *generate {
		choose = u.generatedPassword
	}
	password, err := choose(ctx)
	if err != nil {
		return u.fail(err)
	}
	hash, err := accounts.Hash(password)
	if err != nil {
		return u.fail(err)
	}
	u.result("%s", hash)
	return exitWell
}

// generatedPassword makes a password and shows it, this once.
func (u *ui) generatedPassword(context.Context) (wire.Secret, error) {
	password, bits, err := accounts.Generate()
	if err == nil {
		u.say("the password is %s (strength %d bits); it isn't shown again", password.Reveal(), bits)
	}
	return password, err
}
