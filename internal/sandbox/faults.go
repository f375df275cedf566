package sandbox

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An EntraFault is what becomes of token requests in place of an answer. The
// zero value, NoFault, is none.
type EntraFault struct {
	name       string
	answer     http.HandlerFunc
	times      int // requests it still meets; 0: all
	everywhere bool

	retryAfter time.Duration // 0: no Retry-After
	asDate     bool          // the form of that header (RFC 9110 section 10.2.3)
}

// NoFault lets Entra answer again.
var NoFault EntraFault

// Times limits a fault to the next n requests.
func (f EntraFault) Times(n int) EntraFault {
	f.times = n
	return f
}

// Everywhere makes a fault meet all other requests as well: discovery
// documents, device codes and pages.
func (f EntraFault) Everywhere() EntraFault {
	f.everywhere = true
	return f
}

// RetryAfterDate makes the Retry-After of a fault a date in place of seconds.
func (f EntraFault) RetryAfterDate() EntraFault {
	f.asDate = true
	return f
}

// TooManyRequests is HTTP 429 with a body of plain text, with Retry-After in
// seconds unless it is 0.
func TooManyRequests(retryAfter time.Duration) EntraFault {
	return plainText("429", http.StatusTooManyRequests, "Too Many Requests", retryAfter)
}

// ServerError is HTTP 500, 503 or another status, with a body of plain text
// and with Retry-After in seconds unless it is 0.
func ServerError(status int, retryAfter time.Duration) EntraFault {
	return plainText(strconv.Itoa(status), status, http.StatusText(status), retryAfter)
}

func plainText(name string, status int, body string, retryAfter time.Duration) EntraFault {
	return EntraFault{name: name, retryAfter: retryAfter, answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}}
}

// AADSTS refuses with that error, in Entra's JSON.
func AADSTS(number int) EntraFault {
	return EntraFault{name: "AADSTS" + strconv.Itoa(number), answer: findEntraError(number).write}
}

// Hang never answers.
func Hang() EntraFault {
	return EntraFault{name: "hang", answer: func(_ http.ResponseWriter, r *http.Request) {
		// The body must be read, or the server does not see the client leave.
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}}
}

// Reset resets the TCP connection in place of an answer.
func Reset() EntraFault {
	return EntraFault{name: "reset", answer: func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if tlsConn, ok := conn.(*tls.Conn); ok {
			conn = tlsConn.NetConn()
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0) // close with RST
		}
		conn.Close()
	}}
}

// Garbage answers 200 with a page that is no JSON, as a captive portal does.
func Garbage() EntraFault {
	return success("garbage", "<html><body>Please log in to the guest network.</body></html>")
}

// TruncatedJSON answers 200 with a token's JSON that stops in the middle.
func TruncatedJSON() EntraFault {
	return success("truncated", `{"token_type":"Bearer","expires_in":3599,"access_token":"`+strings.Repeat("t", 100))
}

// NoExpiresIn answers 200 with a token's JSON that lacks expires_in. The
// token is no good.
func NoExpiresIn() EntraFault {
	return success("no expires_in", `{"token_type":"Bearer","access_token":"`+strings.Repeat("t", 100)+`"}`)
}

// success is HTTP 200 with that body.
func success(name, body string) EntraFault {
	return EntraFault{name: name, answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		io.WriteString(w, body)
	}}
}

// SetEntraFault makes a fault meet all token requests from now on, of every
// grant and of managed identities; NoFault ends it. Introspection never fails.
func (s *Sandbox) SetEntraFault(f EntraFault) {
	s.entra.mu.Lock()
	defer s.entra.mu.Unlock()
	s.entra.fault = f
}

// requestKind is what a client wants of Entra.
type requestKind int

const (
	tokenRequest requestKind = iota
	discovery
)

// meetsFault answers with the fault that is set for this kind of request, and
// tells whether there is one.
func (e *entra) meetsFault(w http.ResponseWriter, r *http.Request, kind requestKind) bool {
	f, ok := e.takeFault(kind)
	if ok {
		e.answerFault(w, r, f)
	}
	return ok
}

// answerFault is what becomes of a request that meets f.
func (e *entra) answerFault(w http.ResponseWriter, r *http.Request, f EntraFault) {
	e.sandbox.log.Info("Entra fault", "fault", f.name, "path", r.URL.Path)
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", f.retryHeader())
	}
	f.answer(w, r)
}

// retryHeader is the value of Retry-After.
func (f EntraFault) retryHeader() string {
	if f.asDate {
		return time.Now().Add(f.retryAfter).UTC().Format(http.TimeFormat)
	}
	return strconv.Itoa(int(f.retryAfter.Seconds()))
}

func (e *entra) takeFault(kind requestKind) (EntraFault, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.fault
	if f.answer == nil || kind == discovery && !f.everywhere {
		return NoFault, false
	}
	switch f.times {
	case 0: // until another is set
	case 1:
		e.fault = NoFault
	default:
		e.fault.times--
	}
	return f, true
}
