package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/wire"
)

// odd is what was seen in place of what should be, with the ID of the remedy
// and what that has to know.
type odd struct {
	remedy, seen string
	facts        map[string]string
}

func (o *odd) Error() string { return o.seen }

// finding is of that status, about that host.
func (o *odd) finding(s Status, host string) Finding {
	facts := map[string]string{"host": host}
	maps.Copy(facts, o.facts)
	return wrong(s, o.seen, remedy.Named(o.remedy), facts)
}

// unexplained is the remedy where nothing is known about an error.
const unexplained = "tls-failed"

// explain finds out what an error of the network or of TLS means.
func explain(err error) *odd {
	if o, ok := errors.AsType[*odd](err); ok {
		return o
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return inClear(header.RecordHeader[:])
	}
	switch {
	case errors.Is(err, wire.ErrInjected):
		return &odd{remedy: "tls-injected", seen: "data in clear came between the agreement to TLS and TLS"}
	case errors.Is(err, wire.ErrTooLong), errors.Is(err, wire.ErrFlood):
		return &odd{remedy: "greeting-foreign", seen: "it sends lines that don't end"}
	}
	if r, facts, ok := remedy.ByError(err); ok {
		return &odd{r.ID, seen(err), facts}
	}
	return &odd{remedy: unexplained, seen: clean(err.Error())}
}

// seen says in words what an error is, without where it happened.
func seen(err error) string {
	if timeout, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return "no answer in time"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed"
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		err = operation.Err
	}
	return clean(err.Error())
}

// inClear tells what it is that answered a TLS handshake without TLS.
func inClear(start []byte) *odd {
	switch speaker(start) {
	case "imap", "pop3", "smtp":
		return &odd{remedy: "starttls-needed", seen: "it greets in clear: " + quote(start)}
	case "http":
		return &odd{remedy: "answers-http", seen: "it answers HTTP where TLS is expected"}
	}
	return &odd{remedy: "not-tls", seen: "it doesn't speak TLS"}
}

// quote makes a piece of what a server said fit to be read by people.
func quote(said []byte) string { return `"` + clean(string(said)) + `"` }
