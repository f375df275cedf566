package sandbox

import (
	"crypto/tls"
	"errors"
	"strings"
)

// Exchange's capability lists. That of the plain port is a guess.
const (
	imapCapsPlain    = "IMAP4 IMAP4rev1 LOGINDISABLED STARTTLS SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
	imapCapsBefore   = "IMAP4 IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
	imapCapsAfter    = "IMAP4 IMAP4rev1 AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+"
	imapID           = `* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")`
	imapBye          = "* BYE Microsoft Exchange Server IMAP4 server signing off."
	imapNotConnected = "User is authenticated but not connected."
	imapExpired      = "* BYE Session invalidated - AccessTokenExpired"
	imapTooMany      = "* BYE Connection closed. 14"
	imapThrottled    = "BAD Request is throttled. Suggested Backoff Time: 1000 milliseconds"
	imapThrottledLog = "NO Request is throttled. Suggested Backoff Time: 92415 milliseconds"
	imapThrottledAll = "BAD Request is throttled. Suggested Backoff Time: 60000 milliseconds"
	imapExpiredTag   = "BAD Session invalidated - AccessTokenExpired"
	imapInvalid      = "* BYE Session invalidated - Invalid"
	imapUnavailable  = "BAD Server Unavailable. 15"
	imapClosed       = "* BYE Connection closed."
	imapIdleTooLong  = "* BYE Connection is closed. 13"
	imapBadCommand   = "BAD Command Error. 12"
	imapBadArgument  = "BAD Command Argument Error. 11"
	imapBadState     = "BAD Command received in Invalid state."
)

// maxIMAPErrors is how many bad commands and refused logins a connection may
// send. Exchange closes after several; the number is a guess. Once "not
// connected", it is two or three.
const (
	maxIMAPErrors         = 10
	maxNotConnectedErrors = 3
)

// imapDialogue is an IMAP connection until somebody has logged in.
type imapDialogue struct {
	*lineConn
	sandbox *Sandbox
	errors  int
}

// serveIMAP speaks IMAP4rev1 (RFC 3501) with one client.
func (s *Sandbox) serveIMAP(c *lineConn) {
	d := &imapDialogue{lineConn: c, sandbox: s}
	text := s.opts.Greeting
	if text == "" {
		text = "The Microsoft Exchange IMAP4 service is ready. [" + newServerName().bracket() + "]"
	}
	c.writeLine("* OK %s", text)
	for !d.closing {
		line, err := c.readLine()
		if errors.Is(err, errLineTooLong) {
			c.writeLine("* BYE Connection is closed. 10")
		}
		if err != nil {
			return
		}
		d.command(line)
		if d.errors >= maxIMAPErrors {
			c.writeLine(imapTooMany)
			return
		}
	}
}

// command answers one command line.
func (d *imapDialogue) command(line string) {
	tag, rest := cutWord(line)
	verb, argument := cutWord(rest)
	_, isTLS := d.conn.(*tls.Conn)
	switch verb = strings.ToUpper(verb); {
	case verb == "CAPABILITY" && isTLS:
		d.complete(tag, verb, "* CAPABILITY "+imapCapsBefore)
	case verb == "CAPABILITY" && d.fault == NoStartTLS:
		d.complete(tag, verb, "* CAPABILITY "+strings.Replace(imapCapsPlain, " STARTTLS", "", 1))
	case verb == "CAPABILITY":
		d.complete(tag, verb, "* CAPABILITY "+imapCapsPlain)
	case verb == "ID":
		d.complete(tag, verb, imapID)
	case verb == "NOOP":
		d.complete(tag, verb)
	case verb == "LOGOUT":
		d.complete(tag, verb, imapBye)
		d.closing = true
	case verb == "STARTTLS" && !isTLS && d.fault != NoStartTLS:
		// The words are a guess.
		d.writeLine("%s OK Begin TLS negotiation now.", tag)
		d.sandbox.startTLS(d.lineConn)
	case verb == "LOGIN" || verb == "AUTHENTICATE":
		d.logIn(tag, verb, argument, isTLS)
	case exchangeIMAPVerbs[verb]:
		d.bad(tag, imapBadState)
	default:
		d.bad(tag, imapBadCommand)
	}
}

// complete answers a command that went well.
func (d *imapDialogue) complete(tag, verb string, untagged ...string) {
	for _, line := range untagged {
		d.writeLine("%s", line)
	}
	d.writeLine("%s OK %s completed.", tag, verb)
}

func (d *imapDialogue) bad(tag, answer string) {
	d.errors++
	d.writeLine("%s %s", tag, answer)
}

// logIn answers LOGIN and AUTHENTICATE.
func (d *imapDialogue) logIn(tag, verb, argument string, isTLS bool) {
	mechanism, response := cutWord(argument)
	switch mechanism = strings.ToUpper(mechanism); {
	case !isTLS:
		d.bad(tag, imapBadState)
	case verb == "LOGIN" || mechanism == "PLAIN" || mechanism == "LOGIN":
		d.sandbox.delayPassword(d.lineConn, imapProtocol)
		d.bad(tag, "NO Basic authentication is disabled.")
	case mechanism != "XOAUTH2":
		// What Exchange says to other mechanisms is not known.
		d.bad(tag, imapBadArgument)
	default:
		d.xoauth2(tag, response)
	}
}

// xoauth2 reads the rest of AUTHENTICATE XOAUTH2 and answers it.
func (d *imapDialogue) xoauth2(tag, response string) {
	if response == "" {
		response = d.ask("+ ")
	}
	l := d.sandbox.logIn(d.lineConn, imapProtocol, response)
	if d.closing {
		return
	}
	switch {
	case l.refused != nil:
		d.refuse(tag)
	case l.behaviour == refuseNotConnected:
		d.bad(tag, "NO "+imapNotConnected)
	case l.behaviour == throttleLogin:
		d.bad(tag, imapThrottledLog)
	case l.behaviour == closeAtLogin:
		d.writeLine(imapTooMany)
		d.closing = true
	case l.behaviour == notConnected:
		d.writeLine("%s OK AUTHENTICATE completed.", tag)
		d.serveNotConnected()
		d.closing = true
	default:
		d.writeLine("%s OK AUTHENTICATE completed.", tag)
		d.sandbox.imapServer.serve(d.lineConn, l)
		d.closing = true
	}
}

// refuse refuses a token. With Options.Challenge the client first gets Gmail's
// error challenge and has to answer it.
func (d *imapDialogue) refuse(tag string) {
	if d.sandbox.opts.Challenge {
		d.ask("+ %s", challenge)
	}
	d.bad(tag, "NO AUTHENTICATE failed.")
}

// serveNotConnected is the session of a user who is authenticated but not
// connected: all that needs the mailbox is refused, three times at most.
func (d *imapDialogue) serveNotConnected() {
	for refused := 0; ; {
		line, err := d.readLine()
		if err != nil {
			return
		}
		tag, rest := cutWord(line)
		verb, _ := cutWord(rest)
		switch verb = strings.ToUpper(verb); verb {
		case "CAPABILITY":
			d.complete(tag, verb, "* CAPABILITY "+imapCapsAfter)
		case "ID":
			d.complete(tag, verb, imapID)
		case "NOOP":
			d.complete(tag, verb)
		case "LOGOUT":
			d.complete(tag, verb, imapBye)
			return
		default:
			d.writeLine("%s BAD %s", tag, imapNotConnected)
			if refused++; refused == maxNotConnectedErrors {
				d.writeLine(imapTooMany)
				return
			}
		}
	}
}

// exchangeIMAPVerbs are the commands that Exchange knows after login.
var exchangeIMAPVerbs = setOf("CAPABILITY", "NOOP", "LOGOUT", "ID", "SELECT", "EXAMINE", "CREATE", "DELETE",
	"RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "LIST", "LSUB", "STATUS", "APPEND", "NAMESPACE", "IDLE", "CHECK",
	"CLOSE", "UNSELECT", "EXPUNGE", "SEARCH", "FETCH", "STORE", "COPY", "MOVE", "UID")

func setOf(words ...string) map[string]bool {
	set := map[string]bool{}
	for _, word := range words {
		set[word] = true
	}
	return set
}
