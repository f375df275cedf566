package doctor

import (
	"errors"
	"fmt"

	"oauthproxy/internal/wire"
)

// A refusal is a mail server's no, in its own words.
type refusal string

func (r refusal) Error() string { return string(r) }

// A dismissal is a refusal that came before the login, and isn't about it.
type dismissal string

func (d dismissal) Error() string { return string(d) }

// nonsense is an answer that isn't one of the protocol.
type nonsense string

func (n nonsense) Error() string { return fmt.Sprintf("an answer that makes no sense: %q", string(n)) }

// beforeLogin makes a dismissal of a refusal.
func beforeLogin(err error) error {
	if no, ok := errors.AsType[refusal](err); ok {
		return dismissal(no)
	}
	if o, ok := errors.AsType[*odd](err); ok && o.words != "" {
		return dismissal(clean(o.words))
	}
	return err
}

// noOrNonsense is the error of a line that should have been a yes: a refusal,
// if it begins with no.
func noOrNonsense(line, no string) error {
	if hasWord(line, no) {
		return refusal(clean(line))
	}
	return nonsense(clean(line))
}

// showable makes the words of a mail server in an error fit to be shown.
func showable(err error, secrets ...wire.Secret) error {
	if no, ok := errors.AsType[refusal](err); ok {
		return refusal(clean(redact(string(no), secrets...)))
	}
	if away, ok := errors.AsType[dismissal](err); ok {
		return dismissal(clean(redact(string(away), secrets...)))
	}
	if odd, ok := errors.AsType[nonsense](err); ok {
		return nonsense(clean(redact(string(odd), secrets...)))
	}
	return err
}
