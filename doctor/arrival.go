package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"oauthproxy/internal/remedy"
)

// follow looks for the message where it should arrive, and for a report that it
// doesn't where it came from.
func (m *mailing) follow(ctx context.Context, sent message) {
	found := m.probe("arrival", m.Send, "")
	switch {
	case m.recipient == nil:
		found(Finding{Status: Note, Seen: "whether it arrives can't be seen from here: the address is none of the mailboxes examined"})
		return
	case !m.recipient.works("imap"):
		found(Finding{Status: Note, Seen: "whether it arrives can't be seen from here: the mailbox isn't read over IMAP"})
		return
	}
	f := m.await(ctx, sent, arrivalTimeout, arrivalPause)
	if ctx.Err() == nil {
		found(f)
	}
}

// await waits for what becomes of the message.
func (m *mailing) await(ctx context.Context, sent message, timeout, pause time.Duration) Finding {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	there, back := m.recipient.watch(), m.sender.watch()
	defer there.close()
	defer back.close()
	ticks := time.NewTicker(pause)
	defer ticks.Stop()
	var err error // of the last look
	for {
		arrived, failure := there.sees(ctx, sent.criteria())
		if ctx.Err() == nil {
			err = failure
		}
		if arrived {
			return well(fmt.Sprintf("it is in the INBOX, %v after it was sent", max(time.Since(begun).Round(time.Second), time.Second)))
		}
		if m.sender.works("imap") {
			if returned, _ := back.sees(ctx, sent.reportCriteria()); returned {
				return m.returned()
			}
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return notArrived(timeout, err)
		}
	}
}

// returned is the finding that the message can't be delivered.
func (m *mailing) returned() Finding {
	return Finding{
		Status: Broken, Seen: "a report has come back to " + m.sender.Mailbox,
		Means: "Exchange has taken the message and couldn't deliver it", Who: remedy.You.String(),
		Do: "read the report in the INBOX of " + m.sender.Mailbox,
	}
}

// notArrived is the finding when the time is over; err is of the last look.
func notArrived(timeout time.Duration, err error) Finding {
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return Finding{Status: Note, Seen: "whether it arrives couldn't be seen: " + explain(err).seen}
	}
	return Finding{
		Status: Warning, Seen: fmt.Sprintf("it isn't in the INBOX after %v", timeout),
		Means: "Exchange has taken the message, and it is late, or was put elsewhere", Who: remedy.You.String(),
		Do: "look into Junk Email, and for a rule that moves it; an administrator of Exchange can trace it",
	}
}

// criteria find the message.
func (m message) criteria() *imap.SearchCriteria {
	return &imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{
		{Key: "Subject", Value: m.id}, {Key: "From", Value: m.from},
	}}
}

// reportCriteria find a report about it, which comes from somebody else.
func (m message) reportCriteria() *imap.SearchCriteria {
	from := imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "From", Value: m.from}}}
	return &imap.SearchCriteria{
		Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: m.id}},
		Not:    []imap.SearchCriteria{from},
	}
}

// watch looks into one INBOX again and again, with one login.
type watch struct {
	patient *patient
	link    *link // nil: not logged in
	client  *imapclient.Client
	release func()
}

func (p *patient) watch() *watch { return &watch{patient: p} }

// sees looks for messages in the INBOX. After an error the next look logs in
// again.
func (w *watch) sees(ctx context.Context, criteria *imap.SearchCriteria) (found bool, err error) {
	h, _ := w.patient.host("imap")
	if w.link == nil {
		if err := w.open(ctx, h); err != nil {
			return false, err
		}
	}
	found, err = w.look(h, criteria)
	if err != nil {
		w.client.Close()
		err = showable(w.link.imapError(err), secretsOf(h.User, w.patient.token.Value)...)
		w.close()
	}
	return found, err
}

func (w *watch) open(ctx context.Context, h Host) (err error) {
	if w.link, w.release, err = w.patient.open(ctx, h, arrivalTimeout); err != nil {
		return err
	}
	w.client = imapclient.New(w.link, nil)
	return nil
}

func (w *watch) look(h Host, criteria *imap.SearchCriteria) (found bool, err error) {
	if w.client.State() != imap.ConnStateAuthenticated && w.client.State() != imap.ConnStateSelected {
		if err := logInIMAP(w.client, h.User, w.patient.token.Value); err != nil {
			return false, err
		}
	}
	// Opened anew, a folder shows what has come since.
	if _, err := w.client.Select("INBOX", &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		return false, err
	}
	data, err := w.client.Search(criteria, nil).Wait()
	if err != nil {
		return false, err
	}
	return len(data.AllSeqNums()) > 0, nil
}

func (w *watch) close() {
	if w.link == nil {
		return
	}
	_ = w.client.Close()
	w.release()
	w.link = nil
}
