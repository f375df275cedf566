package doctor

import (
	"errors"
	"fmt"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"oauthproxy/internal/wire"
)

// tryIMAP logs in, and asks for something that only an open mailbox answers:
// Exchange can say yes to a login and then refuse everything with "User is
// authenticated but not connected".
func tryIMAP(l *link, _ Account, h Host, token wire.Secret) (seen string, err error) {
	c := imapclient.New(l, nil)
	defer func() {
		_ = c.Close() // and nothing is heard any more
		err = l.imapError(err)
	}()
	if err := logInIMAP(c, h.User, token); err != nil {
		return "", err
	}
	if _, err := c.List("", "", nil).Collect(); err != nil {
		return "", err
	}
	status, err := c.Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
	if err != nil || status.NumMessages == nil {
		return "the mailbox is open", nil // what counts has worked
	}
	return messages(int(*status.NumMessages)) + " in INBOX", nil
}

// errNotGreeted means that there was no greeting, or none that welcomes.
var errNotGreeted = errors.New("no greeting")

func messages(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

func logInIMAP(c *imapclient.Client, user string, token wire.Secret) error {
	if err := c.WaitGreeting(); err != nil {
		return fmt.Errorf("%w: %w", errNotGreeted, err)
	}
	if capabilities := c.Caps(); capabilities != nil && !capabilities.Has(imap.AuthCap("XOAUTH2")) {
		return errNoXOAUTH2
	}
	mechanism, err := newXOAUTH2(user, token, false)
	if err != nil {
		return err
	}
	return c.Authenticate(mechanism)
}

// imapError finds the cause in what go-imap's client makes of it: a refusal in
// the server's words, or what ended the connection.
func (l *link) imapError(err error) error {
	if errors.Is(err, errNotGreeted) {
		return beforeLogin(l.imapCause(err))
	}
	return l.imapCause(err)
}

func (l *link) imapCause(err error) error {
	var no *imap.Error
	switch {
	case err == nil, errors.Is(err, errNoXOAUTH2):
		return err
	case errors.As(err, &no):
		text := string(no.Type) + " "
		if no.Code != "" {
			text += "[" + string(no.Code) + "] "
		}
		return refusal(text + no.Text)
	case l.bye != "":
		return refusal(l.bye)
	case l.failed != nil:
		return l.failed
	}
	return nonsense(err.Error())
}
