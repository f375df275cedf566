package doctor

import (
	"fmt"
	"slices"
	"strings"

	"oauthproxy/internal/sasl"
	"oauthproxy/internal/wire"
)

// tryPOP3 logs in and counts the messages.
func tryPOP3(l *link, _ Account, h Host, token wire.Secret) (seen string, err error) {
	c := &pop3Client{wire.New(l)}
	defer c.Close()
	if _, err := c.answer(); err != nil { // the greeting
		return "", beforeLogin(err)
	}
	offered, err := c.offersXOAUTH2()
	if err != nil {
		return "", err
	}
	if !offered {
		return "", errNoXOAUTH2
	}
	if err := c.logIn(h.User, token); err != nil {
		return "", err
	}
	stat, err := c.ask("STAT")
	if err != nil {
		return "", err
	}
	var count, size int
	if _, err := fmt.Sscanf(stat, "+OK %d %d", &count, &size); err != nil {
		return "", nonsense(stat)
	}
	c.Printf("QUIT")
	return messages(count) + " in INBOX", nil
}

// pop3Client is the client's side of POP3 (RFC 1939).
type pop3Client struct{ *wire.Conn }

func (c *pop3Client) ask(command string) (string, error) {
	c.Printf("%s", command)
	return c.answer()
}

func (c *pop3Client) hear() (string, error) {
	line, err := c.ReadLine(maxLine)
	return string(line), err
}

// answer reads the line that begins with +OK; -ERR is a refusal.
func (c *pop3Client) answer() (string, error) {
	line, err := c.hear()
	switch {
	case err != nil:
		return "", err
	case hasWord(line, "+OK"):
		return line, nil
	}
	return "", noOrNonsense(line, "-ERR")
}

// offersXOAUTH2 asks for the capabilities (RFC 2449). A server without that
// command tells nothing: then it is tried.
func (c *pop3Client) offersXOAUTH2() (bool, error) {
	if _, err := c.ask("CAPA"); err != nil {
		_, isNo := err.(refusal)
		if isNo {
			err = nil
		}
		return isNo, err
	}
	offered := false
	for range maxLines {
		line, err := c.hear()
		if err != nil {
			return false, err
		}
		if line == "." {
			return offered, nil
		}
		words := strings.Fields(strings.ToUpper(line))
		offered = offered || len(words) > 1 && words[0] == "SASL" && slices.Contains(words[1:], "XOAUTH2")
	}
	return false, wire.ErrFlood
}

// logIn says AUTH in two steps (RFC 5034): Exchange refuses the form in one
// line and closes.
func (c *pop3Client) logIn(user string, token wire.Secret) error {
	blob, err := sasl.XOAUTH2(user, token)
	if err != nil {
		return err
	}
	c.Printf("AUTH XOAUTH2")
	for _, say := range []func(){func() { c.PrintSecret(blob) }, func() { c.Printf("") }} {
		line, err := c.hear()
		if err != nil {
			return err
		}
		if !hasWord(line, "+") {
			return c.verdict(line)
		}
		say() // the message; and nothing, where the server refuses it in JSON
	}
	line, err := c.hear()
	if err != nil {
		return err
	}
	return c.verdict(line)
}

func (c *pop3Client) verdict(line string) error {
	if hasWord(line, "+OK") {
		return nil
	}
	return noOrNonsense(line, "-ERR")
}
