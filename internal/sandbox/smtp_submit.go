package sandbox

import (
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// replyBareLF is known from non-delivery reports; whether it also answers a
// submission is a guess. BDAT takes such messages.
const replyBareLF = "550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; message contains bare linefeeds, which cannot be sent via DATA"

// submit ends the transaction with a verdict on its message.
func (d *smtpDialogue) submit(message *content) {
	mail := d.mail
	d.mail = transaction{}
	if d.login.behaviour == dropLater {
		d.closing = true
		return
	}
	mailboxServer := "[Hostname=" + d.name.mailboxServer() + "]"
	refusal := d.verdict(mail, message)
	d.sandbox.log.Info("message", "mailbox", d.login.mailbox.address, "bytes", len(message.raw),
		"recipients", len(mail.recipients), "refused", refusal)
	switch {
	case refusal == "":
		d.deliver(mail.recipients, message.raw)
		d.writeLine("250 2.0.0 OK <%s@%s> %s", randomID(), d.name.mailboxServer(), mailboxServer)
	case strings.HasPrefix(refusal, "421 "):
		d.writeLine("%s", refusal)
		d.closing = true
	default:
		d.writeLine("%s %s", refusal, mailboxServer)
	}
}

// verdict returns the reply that refuses the message, or "".
func (d *smtpDialogue) verdict(mail transaction, message *content) string {
	m, opts := d.login.mailbox, d.sandbox.opts
	switch other := d.otherSender(mail.from, message.raw); {
	case message.tooLarge:
		return replyTooLarge
	case message.bareLF:
		return replyBareLF
	case m.scenario.smtpMessage != "":
		return m.scenario.smtpMessage
	case !opts.UnlimitedConnections && m.isOverLimit(d):
		return replyConcurrent
	case opts.MessagesPerMinute > 0 && !m.maySubmit(opts.MessagesPerMinute):
		return replyRate
	case other != "" || m.scenario.denySender:
		return fmt.Sprintf("554 5.2.252 SendAsDenied; %s not allowed to send as %s; STOREDRV.Submission."+
			"Exception:SendAsDeniedException.MapiExceptionSendAsDenied; %s", m.address, other, diagnostics)
	default:
		return ""
	}
}

// otherSender returns the address in MAIL or in the From field under which
// the mailbox may not send, or "". A From field that is missing or does not
// parse is let pass.
func (d *smtpDialogue) otherSender(from string, raw []byte) string {
	if !d.maySendAs(from) {
		return orNobody(from)
	}
	authors, err := (&message{raw: raw}).header().AddressList("From")
	if err != nil {
		return ""
	}
	for _, author := range authors {
		if !d.maySendAs(author.Address) {
			return author.Address
		}
	}
	return ""
}

// maySendAs tells whether the mailbox that has logged in may send from an
// address.
func (d *smtpDialogue) maySendAs(address string) bool {
	m := d.sandbox.mailbox(address)
	return m != nil && m.allows(d.login.mailbox.address, sendAs)
}

// orNobody writes the empty sender as it stands in MAIL.
func orNobody(address string) string {
	if address == "" {
		return "<>"
	}
	return address
}

// maySubmit counts a message against the limit of messages in a minute.
func (m *mailbox) maySubmit(limit int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for len(m.submitted) > 0 && now.Sub(m.submitted[0]) >= time.Minute {
		m.submitted = m.submitted[1:]
	}
	if len(m.submitted) >= limit {
		return false
	}
	m.submitted = append(m.submitted, now)
	return true
}

// deliver puts a message into the INBOX of each recipient that has one here,
// and into the sender's Sent Items. Mail for other addresses goes nowhere.
func (d *smtpDialogue) deliver(recipients []string, raw []byte) {
	if d.sandbox.opts.DiscardMessages {
		return
	}
	now := time.Now()
	reached := map[*mailbox]bool{}
	for _, address := range recipients {
		if m := d.sandbox.mailbox(address); m != nil && !reached[m] {
			reached[m] = true
			m.folder(inbox).add(raw, now, nil)
		}
	}
	if sent := d.login.mailbox.folder(sentItems); sent != nil {
		sent.add(raw, now, []imap.Flag{imap.FlagSeen})
	}
}
