package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"oauthproxy/internal/remedy"
)

// errUnknownFate means that the connection was lost behind the last byte of a
// message: it may have been accepted.
var errUnknownFate = errors.New("the connection was lost before the answer to the message")

// mailing is the test message's way.
type mailing struct {
	*examination
	sender    *patient // the first account that sends
	recipient *patient // the account of the address, if that is one
}

// consider takes an account that has been examined for a part in it.
func (m *mailing) consider(p *patient) {
	if _, sends := p.host("smtp"); sends && m.sender == nil {
		m.sender = p
	}
	if strings.EqualFold(p.Mailbox, m.Send) {
		m.recipient = p
	}
}

// host returns the account's host for a protocol.
func (a Account) host(protocol string) (h Host, ok bool) {
	for _, h := range a.Hosts {
		if h.Protocol == protocol {
			return h, true
		}
	}
	return Host{}, false
}

// works tells whether the login of a protocol works.
func (p *patient) works(protocol string) bool {
	login, tried := p.logins[protocol]
	return tried && login.result().err == nil
}

// send sends the message and follows it.
func (m *mailing) send(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	if m.sender == nil {
		m.probe("send", m.Send, "")(Finding{Status: Skipped, Seen: "no account sends over SMTP"})
		return
	}
	p := m.sender
	found := m.probe("send", m.Send, p.Mailbox)
	address, err := mail.ParseAddress(m.Send)
	switch {
	case err != nil || address.Address != m.Send:
		found(Finding{Status: Broken, Seen: "this is no address to send a message to", Who: remedy.You.String(), Do: "write it as NAME@DOMAIN"})
		return
	case !p.works("smtp"):
		found(Finding{Status: Skipped, Seen: "not tried, for the login over SMTP doesn't work"})
		return
	}
	message := newMessage(p.Account, m.Send)
	reply, err := p.submit(ctx, message)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		found(p.unsent(err))
		return
	}
	found(well("Exchange has taken a test message from " + message.from + ": " + reply))
	m.follow(ctx, message)
}

// message is the test message.
type message struct {
	from, to string
	id       string // stands in the subject: Exchange may replace the Message-ID
	text     string
}

func newMessage(a Account, to string) message {
	m := message{from: a.sender(), to: to, id: rand.Text()[:16]}
	_, domain, _ := strings.Cut(m.from, "@")
	lines := []string{
		"From: <" + m.from + ">",
		"To: <" + m.to + ">",
		"Subject: oauthproxy check " + m.id,
		"Date: " + time.Now().Format("Mon, 2 Jan 2006 15:04:05 -0700"),
		"Message-ID: <" + m.id + "@" + domain + ">",
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=us-ascii",
		"",
		"This is a test message. Somebody has asked oauthproxy (oauthproxy check --send)",
		"whether mail can be sent through Exchange. It needs no answer.",
		"",
	}
	m.text = strings.Join(lines, "\r\n")
	return m
}

// submit hands a message to Exchange and returns its yes.
func (p *patient) submit(ctx context.Context, m message) (reply string, err error) {
	h, _ := p.host("smtp")
	secrets := secretsOf(h.User, p.token.Value)
	l, release, err := p.open(ctx, h, sendTimeout)
	if err != nil {
		return "", err
	}
	defer release()
	c, err := logInSMTP(l, h, p.token.Value)
	if err == nil {
		reply, err = transact(c, m)
	}
	return clean(redact(reply, secrets...)), showable(err, secrets...)
}

// transact makes the transaction of one message. After an error the connection
// has to be closed: anything else that is said could end the message.
func transact(c *smtp.Client, m message) (reply string, err error) {
	if err := c.Mail(m.from, utf8For(m.from, m.to)); err != nil {
		return "", smtpError("MAIL", err)
	}
	if err := c.Rcpt(m.to, nil); err != nil {
		return "", smtpError("RCPT", err)
	}
	data, err := c.Data()
	if err != nil {
		return "", smtpError("DATA", err)
	}
	if _, err := data.Write([]byte(m.text)); err != nil {
		return "", err
	}
	response, err := data.CloseWithResponse()
	var no *smtp.SMTPError
	switch {
	case err == nil:
		_ = c.Quit()
		return response.StatusText, nil
	case errors.As(err, &no):
		return "", smtpError("the message", err)
	}
	return "", fmt.Errorf("%w: %w", errUnknownFate, err)
}

// unsent is the finding about a message that Exchange didn't take.
func (p *patient) unsent(err error) Finding {
	h, _ := p.host("smtp")
	var words refusal
	switch {
	case errors.Is(err, errUnknownFate):
		return Finding{Status: Broken, Seen: errUnknownFate.Error(), Who: remedy.You.String(),
			Means: "nobody can tell whether the message was accepted", Do: "look whether it arrives, and check again"}
	case !errors.As(err, &words):
		return p.unanswered(h, err)
	}
	seen := "the message is refused: " + string(words)
	k := caseOf{account: p.Account, protocol: "smtp", claims: p.claims, replies: map[string]string{"smtp": string(words)}}
	if r := k.byWords(); r.ID != "" {
		return broken(seen, k.fitting(r), k.facts())
	}
	return unknown(seen, string(words))
}
