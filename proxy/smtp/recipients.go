package smtp

import (
	"errors"
	"strings"

	"oauthproxy/proxy"
)

// maxBatch bounds how many pipelined recipients go upstream in one write.
const maxBatch = 100

const noRecipient = "501 5.5.4 The form is RCPT TO:<address>"

// rcpt passes a recipient on, and together with it those that the client has
// pipelined behind it.
func (d *dialogue) rcpt(argument string) error {
	if d.tx.mail == "" {
		return d.nonsense("503 5.5.1 MAIL comes first")
	}
	batch := []string{argument}
	for len(batch) < maxBatch && d.client.NextIs("RCPT ") {
		line, err := d.client.ReadLine(maxLine)
		if err != nil {
			line = nil // too long: an argument that is none
		}
		d.client.TraceHeard(string(line))
		batch = append(batch, strings.TrimRight(string(line[min(len(line), len("RCPT ")):]), " \t\r"))
	}
	for len(batch) > 0 && !d.answered(len(batch)) {
		var group []recipient
		group, batch = d.group(batch)
		if err := d.recipients(group); err != nil {
			return err
		}
	}
	return nil
}

// recipient is a RCPT: the command as it goes upstream, or why it doesn't.
type recipient struct{ command, refusal string }

// group looks at the arguments of RCPTs. It cuts off those that fit within the
// limits should all of them be accepted: if the upstream refuses one, there is
// room for another behind them.
func (d *dialogue) group(arguments []string) (group []recipient, rest []string) {
	open := 0
	for i, argument := range arguments {
		r := d.recipient(argument)
		if r.refusal == "" {
			r.refusal = d.reserve(open)
			if r.refusal != "" && open > 0 {
				return group, arguments[i:]
			}
		}
		if r.refusal == "" {
			open++
		}
		group = append(group, r)
	}
	return group, nil
}

// recipient looks at the argument of a RCPT.
func (d *dialogue) recipient(argument string) recipient {
	p, ok := parsePath(argument, "TO")
	if !ok || p.address == "" {
		return recipient{refusal: noRecipient}
	}
	if d.session.Device && !strings.EqualFold(p.address, "postmaster") { // RFC 5321 section 4.1.1.3
		p = p.withDomain(d.domain())
	}
	return recipient{command: "RCPT TO:" + p.String(), refusal: d.forbids(p)}
}

// recipients sends a batch upstream and relays the replies, with our own
// refusals in their places.
func (d *dialogue) recipients(batch []recipient) error {
	var commands []string
	for _, r := range batch {
		if r.refusal == "" {
			commands = append(commands, r.command)
		}
	}
	var replies []reply
	if len(commands) > 0 {
		var err error
		if replies, err = d.askRecipients(commands); errors.Is(err, errClientLeft) {
			return err
		} else if err != nil {
			return d.failed(err, len(batch))
		}
	}
	next := 0
	for _, r := range batch {
		if r.refusal != "" {
			if err := d.refuseRecipientBy(r.refusal); err != nil {
				return err
			}
			continue
		}
		if replies[next].positive() {
			d.tx.accept(r.command)
		} else {
			d.tx.unreserve(1)
			d.noteRefused(r, replies[next])
		}
		d.relayReply(replies[next])
		next++
	}
	if next > 0 {
		d.conclude(replies[next-1])
	}
	return nil
}

// noteRefused tells the log which recipient Exchange has refused.
func (d *dialogue) noteRefused(r recipient, verdict reply) {
	if d.tx.refusal == nil { // that of MAIL, which has its line
		d.countRefusal(proxy.RefusedRecipient, verdict)
		recipient := proxy.Sanitize([]byte(strings.TrimPrefix(r.command, "RCPT TO:")))
		d.senderLog().With("recipient", recipient).Info("recipient refused", verdictOf(verdict)...)
	}
}

// refuseRecipientBy gives a refusal of our own; what is no recipient at all
// counts as nonsense.
func (d *dialogue) refuseRecipientBy(refusal string) error {
	if refusal == noRecipient {
		return d.nonsense(refusal)
	}
	d.refuseByRule(refusal)
	return nil
}
