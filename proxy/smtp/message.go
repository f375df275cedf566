package smtp

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"oauthproxy/proxy"
)

// data takes the message. Where the upstream knows BDAT the 354 is ours, as it
// is no verdict; otherwise it is the upstream's.
func (d *dialogue) data(argument string) error {
	switch {
	case argument != "":
		return d.nonsense("501 5.5.4 DATA takes no argument")
	case d.tx.mail == "":
		return d.nonsense("503 5.5.1 MAIL comes first")
	case d.answered(1):
		return nil
	case d.tx.accepted == 0:
		return d.nonsense("554 5.5.1 No valid recipients") // RFC 5321 section 3.3
	case d.tx.chunks > 0, d.tx.isBinary():
		return d.nonsense("503 5.5.1 BDAT comes next") // RFC 3030 sections 2 and 3
	}
	started := time.Now()
	if err := d.paceMailbox(); err != nil {
		return d.held(err)
	}
	if d.tx.up.chunking {
		d.client.Printf("354 Start mail input; end with <CRLF>.<CRLF>")
		return d.message(started, d.sendCollected)
	}
	r, err := d.askDATA()
	if err != nil {
		return d.failed(err, 1)
	}
	d.relayReply(r)
	if r.code != 354 {
		d.messageLog(0, started).Info("message refused", verdictOf(r)...)
		d.countVerdict(r, 0, started)
		d.end(r, false)
		return nil
	}
	return d.message(started, func(s *stream) (reply, error) {
		s.sent = true
		return s.relay(d.tx.up.conn)
	})
}

// end ends the transaction with the upstream's last word on it. If that came
// before the end of the message, nothing more can be said on the connection.
func (d *dialogue) end(verdict reply, early bool) {
	d.note(verdict)
	switch {
	case d.tx.up == nil:
	case verdict.code == 421, early:
		d.tx.abort()
	case verdict.code == 432: // one connection too many, with those of others
		d.tx.up.pool.overrun(d.tx.up)
		d.tx.up = nil
	}
	d.tx.reset()
}

// held ends the wait of a message for its turn.
func (d *dialogue) held(err error) error {
	if errors.Is(err, errClientLeft) {
		return err
	}
	return d.failed(err, 1)
}

// note draws from the upstream's last word on a message what concerns the next
// ones of the mailbox.
func (d *dialogue) note(verdict reply) {
	d.mailbox().denials.note(d.tx.sender, verdict)
	d.tx.judged(verdict.positive())
	switch {
	case verdict.positive():
		d.mailbox().delivered()
	case verdict.asksForPause():
		d.mailbox().slowDown()
	}
}

const ambiguous = "550 5.6.0 A bare CR or LF makes the end of the message ambiguous"

// message sends the message and tells the client the verdict on it.
func (d *dialogue) message(started time.Time, send func(*stream) (reply, error)) error {
	d.client.Shield(true)
	defer d.client.Shield(false)
	s := newStream(d.client)
	s.limit = d.rules.MaxMessageSize
	s.waits = d
	if d.edit.changes() {
		s.editor = newEditor(d.edit)
	}
	verdict, err := send(s)
	log := d.messageLog(s.size, started)
	switch {
	case errors.Is(err, errClient), errors.Is(err, errClientLeft):
		d.withdraw(s)
		log.Warn("message not sent", "verdict", "none", "cause", err)
		d.count(proxy.Unfinished)
		return err
	case errors.Is(err, errAmbiguous):
		d.withdraw(s)
		log.Warn("message refused", "verdict", ambiguous, "cause", err)
		d.count(proxy.Forbidden)
		d.say(ambiguous)
		return fmt.Errorf("message: %w", err)
	case errors.Is(err, errTooLarge):
		d.withdraw(s)
		log.Warn("message refused", "verdict", d.tooLarge(), "cause", err)
		d.count(proxy.Forbidden)
		s.limit = 0
		if err := s.drain(); err != nil {
			return err
		}
		d.say(d.tooLarge())
		return nil
	case err != nil:
		err = d.messageFailed(log, err, s.complete)
		d.tx = transaction{} // the message has had its answer
		return err
	}
	d.relayReply(verdict)
	log.Info("message relayed", verdictOf(verdict)...)
	d.countVerdict(verdict, s.size, started)
	d.end(verdict, s.early)
	return nil
}

// messageFailed answers a message, or a chunk of one, on which the upstream has
// given no verdict.
func (d *dialogue) messageFailed(log *slog.Logger, err error, complete bool) error {
	switch {
	case d.tx.seized:
		err = seized()
	case complete:
		d.tx.judged(true)
		err = fmt.Errorf("after the end of the message, so its fate is unknown: %w", err)
	}
	f := d.lost(err)
	d.count(proxy.Failed)
	log.Warn("message failed", "verdict", d.answer(f), "cause", f.Cause)
	return d.fail(f, 1)
}

// withdraw ends the transaction of a message that isn't whole. An upstream that
// has heard of it never hears its end.
func (d *dialogue) withdraw(s *stream) {
	if s.sent {
		d.tx.abort()
	} else {
		d.tx.reset()
	}
}

// messageLog is for a line about a message.
func (d *dialogue) messageLog(size int64, started time.Time) *slog.Logger {
	return d.session.Log.With("login", d.session.Login(), "account", d.session.Account,
		"sender", proxy.Sanitize([]byte(d.tx.sender)), "recipients", d.tx.accepted, "bytes", size,
		"waited_ms", d.tx.waited.Milliseconds(), "duration_ms", time.Since(started).Milliseconds())
}

// senderLog is for a line about what Exchange has refused before the message:
// the sender, or a recipient.
func (d *dialogue) senderLog() *slog.Logger {
	return d.session.Log.With("login", d.session.Login(), "account", d.session.Account, "sender", proxy.Sanitize([]byte(d.tx.sender)))
}

// upstreamID is the name that Exchange gives a message that it has taken: "250
// 2.0.0 OK <id> [Hostname=...]".
var upstreamID = regexp.MustCompile(`<([^<>\s]+)>`)

// count counts a message that has had no verdict.
func (d *dialogue) count(verdict proxy.Verdict) { d.session.CountMessage(verdict, 0, 0, 0) }

// countVerdict counts a message that has had one.
func (d *dialogue) countVerdict(r reply, size int64, started time.Time) {
	verdict := proxy.Accepted
	switch {
	case r.code >= 500:
		verdict = proxy.Permanent
	case !r.positive():
		verdict = proxy.Temporary
	}
	d.session.CountMessage(verdict, size, d.tx.waited, time.Since(started))
	if verdict != proxy.Accepted {
		d.countRefusal(proxy.RefusedMessage, r)
	}
}

// countRefusal counts what Exchange has refused.
func (d *dialogue) countRefusal(what string, r reply) {
	d.session.CountRefusal(what, strings.Join(r.lines, " / "))
}

// verdictOf are the attributes of a log line that tell the verdict.
func verdictOf(r reply) []any {
	text := proxy.Sanitize([]byte(strings.Join(r.lines, " / ")))
	attributes := []any{"verdict", text}
	if id := upstreamID.FindStringSubmatch(text); r.positive() && id != nil {
		attributes = append(attributes, "upstream_id", id[1])
	}
	if !r.positive() {
		attributes = append(attributes, proxy.RemedyOf("smtp", strings.Join(r.lines, " / "))...)
	}
	return attributes
}

// say gives a reply of our own, with the session's id.
func (d *dialogue) say(text string) { d.client.Printf("%s (session %s)", text, d.session.ID) }
