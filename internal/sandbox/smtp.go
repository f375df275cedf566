package sandbox

import (
	"crypto/tls"
	"errors"
	"net"
	"regexp"
	"strings"
	"time"
)

// maxSMTPErrors is how many bad commands a connection may send; what Exchange
// allows is not known.
const maxSMTPErrors = 20

// smtpDialogue is one SMTP connection.
type smtpDialogue struct {
	*lineConn
	sandbox *Sandbox
	name    serverName
	id      string // session id
	hello   bool   // EHLO or HELO has been said
	failed  string // the reply to the last AUTH, when it failed
	login   login
	errors  int
	mail    transaction
}

// serveSMTP speaks SMTP (RFC 5321, RFC 6409) with one client.
func (s *Sandbox) serveSMTP(c *lineConn) {
	d := &smtpDialogue{lineConn: c, sandbox: s, name: newServerName(), id: newSMTPSessionID()}
	text := s.opts.Greeting
	if text == "" {
		text = d.name.smtp() + " Microsoft ESMTP MAIL Service ready at " +
			time.Now().UTC().Format("Mon, 2 Jan 2006 15:04:05 -0700") + " [" + d.id + "]"
	}
	c.writeLine("220 %s", text)
	defer d.logOut()
	for !d.closing {
		line, err := c.readLine()
		if err != nil {
			d.sayLost(err)
			return
		}
		d.command(line)
		if d.errors >= maxSMTPErrors {
			c.writeLine("421 4.7.0 Too many errors on this connection, closing transmission channel")
			return
		}
	}
}

// sayLost tells a client why it is left, where that is of use.
func (d *smtpDialogue) sayLost(err error) {
	var timeout net.Error
	switch {
	case errors.Is(err, errLineTooLong):
		d.writeLine("500 5.5.2 Line too long")
	case errors.As(err, &timeout) && timeout.Timeout():
		d.writeLine("451 4.7.0 Timeout waiting for client input")
	}
}

// command answers one command line.
func (d *smtpDialogue) command(line string) {
	verb, argument := cutWord(line)
	verb = strings.ToUpper(verb)
	if d.login.behaviour == garble {
		d.writeLine("%s", garbageLine)
		return
	}
	switch verb {
	case "EHLO", "HELO":
		d.greet(verb, argument)
	case "STARTTLS":
		d.starttls()
	case "AUTH":
		d.auth(argument)
	case "MAIL":
		d.mailFrom(argument)
	case "RCPT":
		d.rcptTo(argument)
	case "DATA":
		d.data()
	case "BDAT":
		d.bdat(argument)
	case "RSET":
		d.mail = transaction{}
		d.writeLine("250 2.0.0 Resetting")
	case "NOOP":
		d.writeLine("250 2.0.0 OK")
	case "QUIT":
		d.writeLine("221 2.0.0 Service closing transmission channel")
		d.closing = true
	default:
		d.bad("500 5.3.3 Unrecognized command")
	}
}

// bad refuses a command that is the client's mistake. The words for commands
// that are unknown, malformed or out of order are not recorded: guesses.
func (d *smtpDialogue) bad(reply string) {
	d.errors++
	d.refuse(reply)
}

// refuse refuses a command.
func (d *smtpDialogue) refuse(reply string) { d.writeLine("%s %s", reply, d.suffix()) }

// suffix ends a refusal: [server timestamp session-id].
func (d *smtpDialogue) suffix() string {
	return "[" + d.name.frontEnd() + " " + utcStamp() + " " + d.id + "]"
}

// goodHello is what Exchange takes as the argument of EHLO: a host name or an
// address literal. Where exactly it draws the line is a guess.
var goodHello = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[A-Za-z0-9.:-]+\])$`)

// greet answers EHLO and HELO.
func (d *smtpDialogue) greet(verb, name string) {
	if name = strings.TrimRight(name, " "); !goodHello.MatchString(name) {
		d.pause(d.sandbox.opts.BadHelloDelay)
		d.bad("501 5.5.4 Invalid domain name")
		return
	}
	d.hello = true
	d.mail = transaction{}
	host, _, _ := net.SplitHostPort(d.conn.RemoteAddr().String())
	hello := d.name.smtp() + " Hello [" + host + "]"
	if verb == "HELO" {
		d.writeLine("250 %s", hello)
		return
	}
	extension := "STARTTLS"
	if d.isTLS() {
		extension = "AUTH LOGIN XOAUTH2"
	}
	d.writeLine("250-%s", hello)
	for _, line := range []string{"SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES",
		extension, "8BITMIME", "BINARYMIME", "CHUNKING"} {
		if line == "STARTTLS" && d.fault == NoStartTLS {
			continue
		}
		d.writeLine("250-%s", line)
	}
	d.writeLine("250 SMTPUTF8")
}

func (d *smtpDialogue) isTLS() bool {
	_, ok := d.conn.(*tls.Conn)
	return ok
}

// starttls starts TLS; nothing said before it counts afterwards (RFC 3207
// section 4.2).
func (d *smtpDialogue) starttls() {
	switch {
	case d.isTLS():
		d.bad("503 5.5.2 TLS is already in use")
		return
	case d.fault == NoStartTLS:
		d.bad("500 5.3.3 Unrecognized command")
		return
	}
	d.writeLine("220 2.0.0 SMTP server ready")
	d.sandbox.startTLS(d.lineConn)
	d.hello = false
	d.mail = transaction{}
}
