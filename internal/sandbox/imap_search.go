package sandbox

import (
	"bytes"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// matches tells whether a message meets criteria (RFC 3501 section 6.4.4).
// BODY and TEXT search the bytes as they are, without decoding them. The caller
// holds the folder's lock.
func (s *imapSession) matches(m *message, number uint32, c *imap.SearchCriteria) bool {
	header := func() mail.Header { return m.header() }
	return all(c.SeqNum, func(set imap.SeqSet) bool { return s.contains(set, number, m.uid) }) &&
		all(c.UID, func(set imap.UIDSet) bool { return s.contains(set, number, m.uid) }) &&
		all(c.Flag, m.has) &&
		!slices.ContainsFunc(c.NotFlag, m.has) &&
		isBetween(m.date, c.Since, c.Before) &&
		(c.Larger == 0 || int64(len(m.raw)) > c.Larger) &&
		(c.Smaller == 0 || int64(len(m.raw)) < c.Smaller) &&
		sentBetween(header, c.SentSince, c.SentBefore) &&
		all(c.Header, func(f imap.SearchCriteriaHeaderField) bool { return hasField(header(), f) }) &&
		all(c.Text, func(text string) bool { return containsFold(m.raw, text) }) &&
		all(c.Body, func(text string) bool { return containsFold(m.body(), text) }) &&
		all(c.Not, func(not imap.SearchCriteria) bool { return !s.matches(m, number, &not) }) &&
		all(c.Or, func(or [2]imap.SearchCriteria) bool {
			return s.matches(m, number, &or[0]) || s.matches(m, number, &or[1])
		})
}

func all[T any](list []T, holds func(T) bool) bool {
	return !slices.ContainsFunc(list, func(item T) bool { return !holds(item) })
}

// header returns the message's header, empty when it does not parse.
func (m *message) header() mail.Header {
	parsed, err := mail.ReadMessage(bytes.NewReader(m.raw))
	if err != nil {
		return mail.Header{}
	}
	return parsed.Header
}

// body returns what follows the header.
func (m *message) body() []byte {
	_, body, _ := bytes.Cut(m.raw, []byte("\r\n\r\n"))
	return body
}

func hasField(header mail.Header, f imap.SearchCriteriaHeaderField) bool {
	decoder := mime.WordDecoder{}
	for key, values := range header {
		if !strings.EqualFold(key, f.Key) {
			continue
		}
		for _, value := range values {
			if decoded, err := decoder.DecodeHeader(value); err == nil {
				value = decoded
			}
			if containsFold([]byte(value), f.Value) {
				return true
			}
		}
	}
	return false
}

func containsFold(text []byte, part string) bool {
	return bytes.Contains(bytes.ToLower(text), bytes.ToLower([]byte(part)))
}

func sentBetween(header func() mail.Header, since, before time.Time) bool {
	if since.IsZero() && before.IsZero() {
		return true
	}
	date, err := header().Date()
	return err == nil && isBetween(date, since, before)
}

// isBetween compares dates alone: time and zone do not count.
func isBetween(t, since, before time.Time) bool {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	return (since.IsZero() || !day.Before(since)) && (before.IsZero() || day.Before(before))
}
