package accounts

import (
	"context"
	"fmt"
	"net/netip"
	"unicode/utf8"
)

// Verify checks an attempt and returns what it may use. The error is a
// *Refusal (errors.Is ErrRefused), ErrBusy, or ctx's error while waiting.
//
// A user whose password was found right within the last hour is let in
// without hashing it again. Every other attempt costs the same work, whatever
// is wrong with it.
func (d *Directory) Verify(ctx context.Context, a Attempt) (Grant, error) {
	addr := plainAddress(a.Address)
	l := d.users[FoldUser(a.User)]
	barred := l.barred(a.Protocol, addr)
	if barred == nil && d.remembered.has(d.fingerprint(l, a)) {
		return l.grant(), nil
	}
	release, err := d.slots.acquire(ctx, ClientOf(addr))
	if err != nil {
		return Grant{}, err
	}
	defer release()
	// Another session of the same client may have been first.
	if barred == nil && d.remembered.has(d.fingerprint(l, a)) {
		return l.grant(), nil
	}
	right := d.check(l, a.Password.Reveal())
	switch {
	case barred != nil:
		return Grant{}, barred
	case !right:
		return Grant{}, &Refusal{Reason: "wrong password"}
	}
	d.remembered.add(d.fingerprint(l, a))
	return l.grant(), nil
}

// VerifyAddress returns what a client may use that has no way to log in and is
// known by its address.
func (d *Directory) VerifyAddress(protocol string, addr netip.Addr) (Grant, bool) {
	addr = plainAddress(addr)
	for _, l := range d.byAddress {
		if network, found := l.network(addr); found && l.allowsProtocol(protocol) {
			return Grant{Account: l.account, Login: network.String(), Device: l.device, Sending: l.sending}, true
		}
	}
	return Grant{}, false
}

// barred says why the login can't be used whatever the password; l is nil for
// an unknown user.
func (l *login) barred(protocol string, addr netip.Addr) error {
	if l == nil {
		return &Refusal{Reason: "unknown user"}
	}
	if !l.allowsProtocol(protocol) {
		return &Refusal{Reason: fmt.Sprintf("this login may not be used over %s", protocol)}
	}
	if _, found := l.network(addr); !found && len(l.networks) > 0 {
		return &Refusal{Reason: fmt.Sprintf("this login may not be used from %s", addr)}
	}
	return nil
}

func (l *login) grant() Grant {
	return Grant{Account: l.account, Login: l.user, Device: l.device, Sending: l.sending}
}

func (d *Directory) fingerprint(l *login, a Attempt) fingerprint {
	return d.remembered.fingerprint(l.user, a.Password.Reveal(), l.hashText)
}

// check hashes the password, in all its forms even when the first is right,
// and for an unknown user too: the time must tell nothing.
func (d *Directory) check(l *login, password string) bool {
	h := d.decoy
	if l != nil {
		h = l.hash
	}
	right := d.matches(h, password)
	if asUTF8 := toUTF8(password); asUTF8 != password {
		right = d.matches(h, asUTF8) || right
	}
	return right && l != nil
}

// toUTF8 reads text that isn't UTF-8 as Latin-1. Old mail programs send user
// names and passwords so, while the hash was made of the UTF-8 form.
func toUTF8(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	runes := make([]rune, len(text))
	for i := range len(text) {
		runes[i] = rune(text[i])
	}
	return string(runes)
}
