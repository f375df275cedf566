package smtp

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"oauthproxy/proxy"
)

const (
	// maxHeld bounds the bytes of the recipients that are held for a replay:
	// about a thousand, which is as many as Exchange ever takes.
	maxHeld = 64 << 10
)

// transaction is a mail transaction (RFC 5321 section 3.3) between MAIL and
// its verdict. It takes an upstream connection with the first recipient.
type transaction struct {
	mail     string         // the command, as it goes upstream; empty: none begun
	sender   string         // the address in it
	refusal  *reply         // the upstream's no to MAIL, or 421: the answer to all that follows
	failure  *proxy.Failure // why the upstream can't be asked any more: likewise
	up       *upstream      // leased
	kept     bool           // it has been kept before: it may have died unseen
	replayed bool           // it has taken the place of one that has died
	waited   time.Duration  // for the connection
	accepted int            // recipients
	opened   bool           // the upstream has accepted MAIL
	heard    bool           // the client has sent the message to its end
	seized   bool           // its connection has been taken in the middle of the message

	recipients []string // the commands of those accepted, for a replay
	held       int      // bytes of these; beyond maxHeld there is no replay

	pacer    *pacer   // of the mailbox
	reserved int      // recipients, of a day's
	turns    []*pacer // that the message has had a turn of

	chunks int       // of the message, by BDAT
	size   int64     // of these
	begun  time.Time // when the first came
}

// reset ends the transaction and gives its connection back.
func (t *transaction) reset() {
	t.giveBack()
	if t.up != nil {
		t.up.pool.keep(t.up)
	}
	*t = transaction{}
}

// abort ends the transaction and closes its connection: nothing may be said
// on it any more.
func (t *transaction) abort() {
	t.giveBack()
	if t.up != nil {
		t.up.pool.drop(t.up)
	}
	*t = transaction{}
}

// reserve counts a recipient against the mailbox's limit of a day.
func (t *transaction) reserve(p *pacer) (ok bool) {
	if ok = p.reserve(); ok {
		t.pacer = p
		t.reserved++
	}
	return ok
}

// unreserve takes back what has come to nothing.
func (t *transaction) unreserve(n int) {
	if n > 0 {
		t.pacer.release(n)
		t.reserved -= n
	}
}

// giveBack takes back all that the message has been counted for.
func (t *transaction) giveBack() {
	t.unreserve(t.reserved)
	for _, p := range t.turns {
		p.giveBack()
	}
	t.turns = nil
}

// judged makes final what was counted for the message: the upstream has said
// what it makes of it, or may have taken it.
func (t *transaction) judged(taken bool) {
	t.turns = nil
	if taken {
		t.reserved = 0
	}
}

// accept notes a recipient that the upstream has accepted.
func (t *transaction) accept(command string) {
	t.accepted++
	if t.held += len(command); t.held <= maxHeld {
		t.recipients = append(t.recipients, command)
	} else {
		t.recipients = nil
	}
}

// canReplay tells whether the transaction may be repeated on another
// connection, which is done once. Chunks that have been passed on aren't held.
func (t *transaction) canReplay() bool { return !t.replayed && t.canRepeat() }

// canRepeat tells whether all that the transaction has said is held.
func (t *transaction) canRepeat() bool { return t.held <= maxHeld && t.chunks == 0 }

// mail begins a transaction. 250 is given on credit (RFC 5321 section 3.3
// allows it): the upstream hears of it with the first recipient, whose answer
// then is the upstream's refusal, if it refuses.
func (d *dialogue) mail(argument string) error {
	if d.tx.mail != "" && d.tx.failure == nil {
		return d.nonsense("503 5.5.1 A transaction has begun already")
	}
	p, ok := parsePath(argument, "FROM")
	if !ok {
		return d.nonsense("501 5.5.4 The form is MAIL FROM:<address>")
	}
	if d.session.Device {
		p = p.withDomain(d.domain())
	}
	p, refusal := d.sender(p)
	if refusal != "" {
		d.refuseByRule(refusal)
		return nil
	}
	if verdict, denied := d.mailbox().denials.of(p.address); denied {
		log := d.session.Log.With("login", d.session.Login(), "account", d.session.Account, "sender", shown(p.address))
		log.Warn("sender refused again without asking", verdictOf(verdict)...)
		d.relayReply(verdict)
		return nil
	}
	d.tx = transaction{mail: "MAIL FROM:" + p.String(), sender: p.address}
	d.client.Printf("250 2.1.0 Sender OK")
	return nil
}

// domain is the mailbox's.
func (d *dialogue) domain() string {
	return d.session.Account[strings.LastIndexByte(d.session.Account, '@')+1:]
}

// answered gives n commands of a transaction that has come to nothing the
// answer that it has had.
func (d *dialogue) answered(n int) bool {
	switch {
	case d.tx.failure != nil:
		for range n {
			d.Refuse(d.tx.failure)
		}
	case d.tx.refusal != nil:
		for range n {
			d.relayReply(*d.tx.refusal)
		}
	default:
		return false
	}
	return true
}

// askRecipients returns the upstream's replies to the batch. The first batch
// of a transaction leases a connection and brings MAIL with it.
func (d *dialogue) askRecipients(batch []string) (replies []reply, err error) {
	if d.tx.opened {
		if err = d.resume(turnTimeout); err != nil {
			return nil, err
		}
		err = d.insist(func(up *upstream) error {
			replies, err = up.ask(batch...)
			return err
		})
		return replies, err
	}
	if replies, err = d.begin(batch); err != nil {
		return nil, err
	}
	if mail := replies[0]; !mail.positive() {
		d.tx.refusal = &mail
		d.senderLog().Info("sender refused", verdictOf(mail)...)
		d.countRefusal(proxy.RefusedSender, mail)
		return repeat(mail, len(batch)), nil
	}
	d.tx.opened = true
	return replies[1:], nil
}

// isBinary tells whether the message has been announced as one that BDAT alone
// can carry (RFC 3030 section 3).
func (t *transaction) isBinary() bool {
	return slices.ContainsFunc(strings.Fields(t.mail), func(p string) bool { return strings.EqualFold(p, "BODY=BINARYMIME") })
}

// begin begins the transaction upstream.
func (d *dialogue) begin(batch []string) ([]reply, error) {
	if err := d.paceLogin(); err != nil {
		return nil, err
	}
	by, err := d.lease(turnTimeout)
	if err != nil {
		return nil, err
	}
	return d.start(by, batch)
}

// start says MAIL and the batch on the connection leased. If that has been kept
// and turns out to be of no use, another takes its place: nothing of the message
// has been said. An upstream that closes a fresh one wants less to do.
func (d *dialogue) start(by time.Time, batch []string) ([]reply, error) {
	replies, err := d.tx.up.beginBy(by, d.tx.mail, batch)
	if d.tx.kept && isStale(replies, err) {
		if err := d.freshen(by); err != nil {
			return nil, err
		}
		replies, err = d.tx.up.beginBy(by, d.tx.mail, batch)
	}
	if err == nil && slices.ContainsFunc(replies, reply.asksForPause) {
		d.mailbox().slowDown()
	}
	return replies, err
}

// isStale tells whether a kept connection has turned out to be of no use any
// more. One that is merely silent has used up the client's patience.
func isStale(replies []reply, err error) bool {
	if err != nil {
		return !errors.Is(err, os.ErrDeadlineExceeded)
	}
	// 530 says that the login has lapsed: it is no word on the mail.
	return replies[0].code == 421 || replies[0].code == 530
}

func repeat(r reply, n int) []reply {
	replies := make([]reply, n)
	for i := range replies {
		replies[i] = r
	}
	return replies
}

// conclude ends a transaction whose upstream has refused MAIL, or has said with
// its last reply that it closes.
func (d *dialogue) conclude(last reply) {
	switch {
	case d.tx.refusal != nil:
		d.tx.refuse(*d.tx.refusal)
	case last.code == 421:
		d.tx.refuse(last)
	}
}

// failed answers n commands whose upstream could not be reached or has gone:
// temporarily, as nothing has been delivered. Until the client resets it, what
// it still says of this transaction has the same answer: 503 would be a
// permanent no to recipients that Exchange was never asked about.
func (d *dialogue) failed(err error, n int) error {
	f := d.lost(err)
	d.count(proxy.Failed)
	attributes := []any{"login", d.session.Login(), "account", d.session.Account,
		"sender", proxy.Sanitize([]byte(d.tx.sender)), "verdict", d.answer(f), "reason", f.Kind.String(), "cause", f.Cause}
	d.session.Log.Log(d.ctx, d.session.RefusalLevel(f), "transaction refused", append(attributes, f.Attributes(d.session.Account)...)...)
	return d.fail(f, n)
}

// fail is failed without a line in the log.
func (d *dialogue) fail(f *proxy.Failure, n int) error {
	mail := d.tx.mail
	d.tx.abort()
	d.tx.mail, d.tx.failure = mail, f
	for range n {
		d.Refuse(f)
	}
	if f.Kind == proxy.ShuttingDown {
		return io.EOF // that was the last word
	}
	return nil
}

// lost gives an error of an upstream that had accepted us its kind.
func (d *dialogue) lost(err error) *proxy.Failure {
	if f, ok := errors.AsType[*proxy.Failure](err); ok {
		return f
	}
	f := &proxy.Failure{Kind: proxy.UpstreamUnreachable, Lost: true, Text: "the mail server closed the connection, try again", Cause: err}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		f.Text = "the mail server doesn't answer, try again later"
	}
	return f
}
