package sandbox

import (
	"crypto/tls"
	"strings"
)

// maxPOP3Token is the longest token in characters that POP3 has taken since
// the middle of 2025.
const maxPOP3Token = 4096

// maxPOP3Errors is how many refused commands a connection may send before the
// login; what Exchange allows is not known.
const maxPOP3Errors = 10

const (
	pop3ProtocolError = "-ERR Protocol error. Connection is closed. 10"
	pop3Refused       = "-ERR Authentication failure: unknown user name or bad password."
	pop3BasicDisabled = "-ERR Basic authentication is disabled"
	pop3BadState      = "-ERR Command is not valid in this state."
	pop3Bye           = "+OK Microsoft Exchange Server POP3 server signing off."
)

// pop3Dialogue is a POP3 connection until somebody has logged in.
type pop3Dialogue struct {
	*lineConn
	sandbox *Sandbox
	hasUser bool // USER came before
	errors  int
}

// servePOP3 speaks POP3 (RFC 1939, RFC 5034) with one client.
func (s *Sandbox) servePOP3(c *lineConn) {
	d := &pop3Dialogue{lineConn: c, sandbox: s}
	text := s.opts.Greeting
	if text == "" {
		text = "The Microsoft Exchange POP3 service is ready. [" + newServerName().bracket() + "]"
	}
	c.writeLine("+OK %s", text)
	for !d.closing && d.errors < maxPOP3Errors {
		line, err := c.readLine()
		if err != nil {
			return
		}
		d.command(line)
	}
}

// command answers one command line.
func (d *pop3Dialogue) command(line string) {
	verb, argument := cutWord(line)
	_, isTLS := d.conn.(*tls.Conn)
	switch verb = strings.ToUpper(verb); {
	case verb == "CAPA":
		d.capabilities(isTLS)
	case verb == "QUIT":
		d.writeLine(pop3Bye)
		d.closing = true
	case verb == "STLS" && !isTLS && d.fault != NoStartTLS:
		d.writeLine("+OK Begin TLS negotiation.")
		d.sandbox.startTLS(d.lineConn)
	case verb == "USER" && isTLS:
		d.hasUser = true
		d.writeLine("+OK")
	case verb == "PASS" && d.hasUser:
		d.refusePassword()
	case verb == "AUTH" && isTLS:
		d.auth(argument)
	default:
		d.bad(pop3BadState)
	}
}

func (d *pop3Dialogue) bad(answer string) {
	d.errors++
	d.writeLine("%s", answer)
}

// capabilities answers CAPA (RFC 2449). USER and PLAIN are listed though
// passwords are refused.
func (d *pop3Dialogue) capabilities(isTLS bool) {
	lines := []string{"+OK", "TOP", "UIDL", "SASL PLAIN XOAUTH2", "USER"}
	if !isTLS && d.fault != NoStartTLS {
		lines = append(lines, "STLS")
	}
	for _, line := range append(lines, ".") {
		d.writeLine("%s", line)
	}
}

func (d *pop3Dialogue) refusePassword() {
	d.hasUser = false
	d.sandbox.delayPassword(d.lineConn, pop3Protocol)
	d.bad(pop3BasicDisabled)
}

// auth answers AUTH, in the form of two lines alone.
func (d *pop3Dialogue) auth(argument string) {
	mechanism, response := cutWord(argument)
	switch strings.ToUpper(mechanism) {
	case "PLAIN":
		d.refusePassword()
	case "XOAUTH2":
		if response != "" {
			d.protocolError()
			return
		}
		d.xoauth2(d.ask("+ "))
	default:
		// What Exchange says to other mechanisms is not known.
		d.bad(pop3BadState)
	}
}

// protocolError is Exchange's answer to credentials on the command's own line,
// and to tokens that are too long.
func (d *pop3Dialogue) protocolError() {
	d.writeLine(pop3ProtocolError)
	d.closing = true
}

// xoauth2 answers an XOAUTH2 response.
func (d *pop3Dialogue) xoauth2(response string) {
	if sent, err := parseXOAUTH2(response); err == nil && len(sent.token) > maxPOP3Token {
		d.protocolError()
		return
	}
	l := d.sandbox.logIn(d.lineConn, pop3Protocol, response)
	if d.closing {
		return
	}
	if l.refused != nil {
		d.refuse()
		return
	}
	d.writeLine("+OK User successfully authenticated.")
	newPOP3Session(d.lineConn, l).serve()
	d.closing = true
}

// refuse refuses a token. With Options.Challenge the client first gets Gmail's
// error challenge and has to answer it.
func (d *pop3Dialogue) refuse() {
	if d.sandbox.opts.Challenge {
		d.ask("+ %s", challenge)
	}
	d.bad(pop3Refused)
}
