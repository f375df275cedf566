package smtp

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"oauthproxy/proxy"
)

const (
	// dataPatience is how long a client is held at DATA before it hears a
	// temporary refusal: RFC 5321 section 4.5.3.2.4 gives it two minutes.
	dataPatience = 100 * time.Second
	// dataLimit is for that and a connection.
	dataLimit = 115 * time.Second
	// loginPatience is that at the first recipient, for a login's own pace.
	loginPatience = 20 * time.Second
)

// setRules takes up the rules of the session's login.
func (d *dialogue) setRules() {
	d.rules = proxy.Sending{}
	if d.session.Sending != nil {
		d.rules = *d.session.Sending
	}
	d.edit = edit{
		sender:   d.rules.Sender,
		complete: d.session.Device,
		lineEnds: d.session.Device,
		domain:   d.domain(),
	}
}

// takesAsItIs tells whether messages pass unchanged and unmeasured: only then
// may a client send chunks of its own.
func (d *dialogue) takesAsItIs() bool { return !d.edit.changes() && d.rules.MaxMessageSize == 0 }

// sender returns MAIL's argument as it goes upstream, or why the sender or its
// message isn't taken.
func (d *dialogue) sender(p path) (path, string) {
	if !d.rules.AllowsSender(p.address) {
		return p, fmt.Sprintf("550 5.7.1 This login may not send as %s", shown(p.address))
	}
	if max := d.rules.MaxMessageSize; max > 0 && p.size() > max {
		return p, d.tooLarge()
	}
	p.address = cmp.Or(d.rules.Sender, p.address)
	return p, ""
}

func (d *dialogue) tooLarge() string {
	return fmt.Sprintf("552 5.3.4 The message is larger than this login may send, %d bytes", d.rules.MaxMessageSize)
}

// sizeOffer is the SIZE that the client is told: the upstream's, or the login's
// own if that is less.
func (d *dialogue) sizeOffer(upstream string) string {
	_, value, _ := strings.Cut(upstream, " ")
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if max := d.rules.MaxMessageSize; max > 0 && (err != nil || n == 0 || n > max) {
		return fmt.Sprintf("SIZE %d", max)
	}
	return upstream
}

// refuseByRule gives a refusal that follows from the login's rules or the
// mailbox's limits. The administrator who has set them finds it in the log.
func (d *dialogue) refuseByRule(refusal string) {
	d.session.Log.Warn("refused by rule", "login", d.session.Login(), "account", d.session.Account, "verdict", refusal)
	d.say(refusal)
}

// forbids says why a recipient isn't taken, if it isn't.
func (d *dialogue) forbids(p path) string {
	if !d.rules.AllowsRecipient(p.address) {
		return fmt.Sprintf("550 5.7.1 This login may not send to %s", shown(p.address))
	}
	return ""
}

// reserve makes room for one more recipient, beside those that have been
// accepted and those that the upstream is still to be asked about, or says why
// there is none.
func (d *dialogue) reserve(open int) (refusal string) {
	max := d.rules.RecipientsPerMessage
	switch {
	case max > 0 && d.tx.accepted+open >= max:
		return fmt.Sprintf("452 4.5.3 This login may give a message no more than %d recipients", max)
	case !d.tx.reserve(d.mailbox()):
		return fmt.Sprintf("452 4.5.3 The %d recipients of a day are used up for this mailbox", d.mailbox().pace.RecipientsPerDay)
	}
	return ""
}

// mailbox is the pacer of the session's mailbox.
func (d *dialogue) mailbox() *pacer { return d.ledger.mailbox(d.session.Account) }

// paceLogin holds a message to the pace of its login, before it takes one of
// the mailbox's connections.
func (d *dialogue) paceLogin() error {
	if d.rules.MessagesPerMinute == 0 {
		return nil
	}
	login := d.ledger.login(d.session.Login(), d.rules.MessagesPerMinute)
	if err := login.message(loginPatience, d.rest); err != nil {
		return tooFast(err, "this login sends too many messages, try again in a minute")
	}
	d.tx.turns = append(d.tx.turns, login)
	return nil
}

// paceMailbox holds a message to the pace of its mailbox.
func (d *dialogue) paceMailbox() error {
	asked := time.Now()
	err := d.mailbox().message(dataPatience, func(wait time.Duration, sooner <-chan struct{}) error {
		d.park()
		return d.rest(wait, sooner)
	})
	d.tx.waited += time.Since(asked)
	for _, warning := range d.mailbox().warnings() {
		d.session.Log.Warn("limit nearly reached", "account", d.session.Account, "cause", warning)
	}
	if err != nil {
		return tooFast(err, "this mailbox sends too many messages, try again in a minute")
	}
	d.tx.turns = append(d.tx.turns, d.mailbox())
	return d.resume(min(turnTimeout, dataLimit-time.Since(asked)))
}

func tooFast(err error, text string) error {
	if errors.Is(err, errTooFast) {
		return &proxy.Failure{Kind: proxy.Busy, Text: text, Cause: err}
	}
	return err
}

// rest waits for a time, or until something comes by the channel, as long as
// the client does too and the proxy isn't to stop.
func (d *dialogue) rest(wait time.Duration, sooner <-chan struct{}) error {
	if err := d.client.Flush(); err != nil {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	ctx, release := d.session.UntilStop(d.ctx)
	defer release()
	presence := d.attend()
	defer presence.end()
	for {
		select {
		case <-timer.C:
			return nil
		case <-sooner:
			return nil
		case <-presence.ended:
			if presence.left() {
				return errClientLeft
			}
		case <-ctx.Done():
			return &proxy.Failure{Kind: proxy.ShuttingDown}
		}
	}
}

// size is the size that MAIL declares (RFC 1870), or 0.
func (p path) size() int64 {
	for parameter := range strings.FieldsSeq(p.parameters) {
		keyword, value, _ := strings.Cut(parameter, "=")
		if n, err := strconv.ParseInt(value, 10, 64); strings.EqualFold(keyword, "SIZE") && err == nil {
			return n
		}
	}
	return 0
}

// shown is an address as a reply shows it: a copier's display is small.
func shown(address string) string {
	if address == "" {
		return "an empty sender"
	}
	return proxy.Sanitize([]byte(address))
}
