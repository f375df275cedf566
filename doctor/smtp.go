package doctor

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"

	"github.com/emersion/go-smtp"

	"oauthproxy/internal/wire"
)

// errNoXOAUTH2 means that a mail server doesn't take tokens.
var errNoXOAUTH2 = &odd{remedy: "xoauth2-missing", seen: "it offers no XOAUTH2"}

// trySMTP logs in, begins a message of the account's sender, and takes it back.
func trySMTP(l *link, a Account, h Host, token wire.Secret) (seen string, err error) {
	c, err := logInSMTP(l, h, token)
	if err != nil {
		return "", err
	}
	if err := c.Mail(a.sender(), utf8For(a.sender())); err != nil {
		return "", smtpError("MAIL", err)
	}
	_ = c.Reset()
	_ = c.Quit()
	return "may send as " + a.sender(), nil
}

// utf8For asks for SMTPUTF8 where an address needs it (RFC 6531).
func utf8For(addresses ...string) *smtp.MailOptions {
	isASCII := !strings.ContainsFunc(strings.Join(addresses, ""), func(r rune) bool { return r > 0x7f })
	return &smtp.MailOptions{UTF8: !isASCII}
}

// logInSMTP returns a client that has logged in. Whoever closes the link ends
// it.
func logInSMTP(l *link, h Host, token wire.Secret) (*smtp.Client, error) {
	c := smtp.NewClient(l)
	if err := c.Hello(l.name); err != nil {
		return nil, beforeLogin(smtpError("EHLO", err))
	}
	if !c.SupportsAuth("XOAUTH2") {
		return nil, errNoXOAUTH2
	}
	mechanism, err := newXOAUTH2(h.User, token, true)
	if err != nil {
		return nil, err
	}
	if err := c.Auth(mechanism); err != nil {
		return nil, smtpError("AUTH", err)
	}
	return c, nil
}

// smtpError makes a refusal in the server's words of a reply that go-smtp's
// client has taken apart.
func smtpError(what string, err error) error {
	var (
		no      *smtp.SMTPError
		garbage textproto.ProtocolError
	)
	switch {
	case errors.As(err, &no) && no.Code < 400:
		return nonsense(fmt.Sprintf("%d %s to %s", no.Code, no.Message, what))
	case errors.As(err, &no):
		text := fmt.Sprintf("%d ", no.Code)
		if e := no.EnhancedCode; e[0] > 0 {
			text += fmt.Sprintf("%d.%d.%d ", e[0], e[1], e[2])
		}
		return refusal(text + strings.ReplaceAll(no.Message, "\n", " "))
	case errors.As(err, &garbage):
		return nonsense(garbage.Error())
	case errors.Is(err, smtp.ErrTooLongLine):
		return wire.ErrFlood
	}
	return err
}
