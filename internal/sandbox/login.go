package sandbox

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
)

// protocol is one of the three that Exchange speaks.
type protocol struct {
	name  string
	role  string // what an app-only token needs
	scope string // what a user's token needs
}

var (
	imapProtocol = protocol{"IMAP", "IMAP.AccessAsApp", "IMAP.AccessAsUser.All"}
	pop3Protocol = protocol{"POP3", "POP.AccessAsApp", "POP.AccessAsUser.All"}
	smtpProtocol = protocol{"SMTP", "SMTP.SendAsApp", "SMTP.Send"}
)

// challenge is the refusal that Gmail sends in place of its final answer when
// a token is bad: {"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}.
const challenge = "eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNvbS8ifQ=="

// credentials are what an XOAUTH2 response carries.
type credentials struct{ user, token string }

// parseXOAUTH2 decodes user=USER ^A auth=Bearer TOKEN ^A ^A in base64.
func parseXOAUTH2(response string) (credentials, error) {
	plain, err := base64.StdEncoding.DecodeString(response)
	if err != nil {
		return credentials{}, errors.New("response is not base64")
	}
	fields := strings.Split(string(plain), "\x01")
	if len(fields) != 4 || fields[2] != "" || fields[3] != "" {
		return credentials{}, errors.New("response is not in the form of XOAUTH2")
	}
	user, ok := strings.CutPrefix(fields[0], "user=")
	token, bearer := strings.CutPrefix(fields[1], "auth=Bearer ")
	if !ok || !bearer {
		return credentials{}, errors.New("response has no user= or no auth=Bearer")
	}
	return credentials{user, token}, nil
}

// login is an attempt to log in and what Exchange makes of it.
type login struct {
	mailbox   *mailbox // nil: no such mailbox
	token     claims
	behaviour behaviour
	refused   error  // why the token is refused, nil when it is accepted
	reply     string // that Exchange refuses it with, "" for the general one
}

// logIn decides about an XOAUTH2 response, which the dialogue then answers,
// unless the mailbox is one where nothing is answered: then the connection is
// closing.
func (s *Sandbox) logIn(c *lineConn, p protocol, response string) login {
	if c.closing {
		return login{}
	}
	l := s.decide(p, response)
	log := s.log.With("protocol", p.name, "mailbox", l.address())
	switch {
	case l.behaviour == stall:
		log.Info("login not answered")
		c.stall()
	case l.behaviour == drop:
		log.Info("login not answered, connection closed")
		c.closing = true
	case l.refused != nil:
		log.Info("login refused", "reason", l.refused)
	default:
		log.Info("login accepted")
	}
	if l.behaviour == crawl {
		c.delay = s.opts.SlowDelay
	}
	return l
}

// delayPassword makes the pause before a password is refused. Whose it is does
// not matter.
func (s *Sandbox) delayPassword(c *lineConn, p protocol) {
	s.log.Info("password refused: basic authentication is disabled", "protocol", p.name)
	c.pause(s.opts.PasswordDelay)
}

// decide finds the mailbox and checks the token.
func (s *Sandbox) decide(p protocol, response string) login {
	sent, err := parseXOAUTH2(response)
	if err != nil {
		return login{refused: err}
	}
	box := s.mailbox(sent.user)
	if box == nil {
		return login{refused: errors.New("no such mailbox")}
	}
	l := login{mailbox: box, behaviour: box.scenario.on(p)}
	if reply := box.scenario.smtpAuth; p == smtpProtocol && reply != "" {
		// Reported: this is looked at before the token.
		l.refused, l.reply = errors.New("SMTP AUTH is switched off"), reply
		return l
	}
	if l.token, l.refused = s.issuer.verify(sent.token); l.refused != nil {
		return l
	}
	if l.refused = permitted(l.token, p, box); l.refused != nil {
		return l
	}
	switch {
	case l.behaviour == refuseApplication && l.token.UPN == "":
		l.refused = errors.New("this mailbox refuses the application")
	case l.behaviour == refuse:
		l.refused = errors.New("this mailbox refuses every token")
	case l.behaviour == refuseFirst && box.isFirstToken(l.token.TokenID):
		l.refused = errors.New("this mailbox refuses the first token it sees")
	}
	return l
}

func (l login) address() string {
	if l.mailbox == nil {
		return "unknown"
	}
	return l.mailbox.address
}

// permitted tells whether a good token opens the mailbox in the protocol.
func permitted(c claims, p protocol, box *mailbox) error {
	switch c.Audience {
	case audienceApp, audienceDelegated, audienceID:
	default:
		return errors.New("token is for another resource")
	}
	if c.UPN == "" {
		if box.scenario.personal {
			return errors.New("no application opens a personal mailbox")
		}
		// Exchange's own role wants none in the token.
		if box.scenario.rbac && p == smtpProtocol && !slices.Contains(c.Roles, p.role) {
			return nil
		}
		if !slices.Contains(c.Roles, p.role) {
			return errors.New("token has no role " + p.role)
		}
		return nil
	}
	if !slices.Contains(strings.Fields(c.Scope), p.scope) {
		return errors.New("token has no scope " + p.scope)
	}
	// SMTP is for the person alone, whosever mailbox the message comes from.
	isOwn := strings.EqualFold(c.UPN, box.address)
	if !isOwn && (p == smtpProtocol || !box.allows(c.UPN, fullAccess)) {
		return errors.New("token belongs to another user")
	}
	return nil
}
