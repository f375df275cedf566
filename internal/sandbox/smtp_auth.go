package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// maxConnections is how many SMTP connections one mailbox may have at a time.
const maxConnections = 3

const authFailed = "535 5.7.3 Authentication unsuccessful"

// auth answers AUTH (RFC 4954).
func (d *smtpDialogue) auth(argument string) {
	mechanism, response := cutWord(argument)
	switch mechanism = strings.ToUpper(mechanism); {
	case !d.hello:
		d.bad("503 5.5.2 Send hello first")
	case d.login.mailbox != nil:
		d.bad("503 5.5.2 Already authenticated")
	case mechanism == "LOGIN" && d.isTLS():
		d.authLogin(response)
	case mechanism == "XOAUTH2" && d.isTLS():
		d.xoauth2(response)
	default:
		// Recorded for PLAIN; for other mechanisms, and before TLS, a guess.
		d.bad("504 5.7.4 Unrecognized authentication type")
	}
}

// authLogin asks for user name and password, and refuses them.
func (d *smtpDialogue) authLogin(user string) {
	prompts := []string{"VXNlcm5hbWU6", "UGFzc3dvcmQ6"}
	if user != "" {
		prompts = prompts[1:]
	}
	for _, prompt := range prompts {
		if d.ask("334 %s", prompt) == "*" {
			d.refuseAuth(authFailed)
			return
		}
	}
	d.sandbox.delayPassword(d.lineConn, smtpProtocol)
	d.refuseAuth(authPolicy + "basic authentication is disabled.")
}

// xoauth2 reads the rest of AUTH XOAUTH2 and answers it.
func (d *smtpDialogue) xoauth2(response string) {
	if response == "" {
		response = d.ask("334 ")
	}
	l := d.sandbox.logIn(d.lineConn, smtpProtocol, response)
	if d.closing {
		return
	}
	if l.refused != nil {
		d.refuseToken(l)
		return
	}
	d.login, d.failed = l, ""
	l.mailbox.addSender(d)
	d.writeLine("235 2.7.0 Authentication successful")
}

// refuseToken refuses a token. With Options.Challenge the client first gets
// Gmail's error challenge and has to answer it.
func (d *smtpDialogue) refuseToken(l login) {
	if l.reply != "" {
		d.refuseAuth(l.reply)
		return
	}
	if d.sandbox.opts.Challenge {
		d.ask("334 %s", challenge)
	}
	d.refuseAuth(authFailed)
}

func (d *smtpDialogue) refuseAuth(reply string) {
	d.failed = reply
	d.bad(reply)
}

// needAuth refuses a command of a client that has not logged in, with the
// reason when AUTH failed before.
func (d *smtpDialogue) needAuth() {
	const reply = "530 5.7.57 Client not authenticated to send mail."
	if d.failed == "" {
		d.bad(reply)
		return
	}
	d.bad(fmt.Sprintf("%s Error: %s", reply, d.failed))
}

// logOut gives the connection's place at the mailbox back.
func (d *smtpDialogue) logOut() {
	if m := d.login.mailbox; m != nil {
		m.removeSender(d)
	}
}

func (m *mailbox) addSender(d *smtpDialogue) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.senders = append(m.senders, d)
}

func (m *mailbox) removeSender(d *smtpDialogue) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.senders = slices.DeleteFunc(m.senders, func(other *smtpDialogue) bool { return other == d })
}

// isOverLimit tells whether the connection came when the mailbox had as many
// as it may have, and still has.
func (m *mailbox) isOverLimit(d *smtpDialogue) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Index(m.senders, d) >= maxConnections
}
