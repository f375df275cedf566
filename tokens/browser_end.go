package tokens

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"oauthproxy/internal/wire"
)

const (
	// maxRedirect bounds what a browser may send or a person paste; a code has
	// one or two thousand characters.
	maxRedirect = 32 << 10
	// goodbye is how long the last page may take to reach the browser.
	goodbye = 2 * time.Second
	// portTries: a port may be free for one kind of loopback address only.
	portTries = 5
)

// redirect is how the browser's way through Entra ID ended: with a code, or
// with a refusal. (Its fields are exported so that printing hides the code.)
type redirect struct {
	Code    wire.Secret
	Failure *Error
}

// browserEnd is where the browser comes back to (RFC 8252 section 7.3).
type browserEnd struct {
	state   string
	port    int
	server  http.Server
	serving sync.WaitGroup
	answers chan redirect // room for one: the first counts

	once sync.Once
	told chan struct{} // closed when the page is known
	page page
}

func newBrowserEnd(state string) *browserEnd {
	return &browserEnd{state: state, answers: make(chan redirect, 1), told: make(chan struct{})}
}

// listenForBrowser listens on a port of the loopback, on both kinds of
// address: what "localhost" means to a browser is up to that.
func listenForBrowser(state string) (*browserEnd, error) {
	end := newBrowserEnd(state)
	listeners, err := listenLoopback()
	if err != nil {
		return nil, err
	}
	end.port = listeners[0].Addr().(*net.TCPAddr).Port
	end.server = http.Server{
		Handler:           end,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * requestTimeout, // the page waits for Entra ID
		MaxHeaderBytes:    maxRedirect,
		ErrorLog:          log.New(io.Discard, "", 0), // it could show a code
	}
	end.server.SetKeepAlivesEnabled(false)
	for _, l := range listeners {
		end.serving.Go(func() { _ = end.server.Serve(l) })
	}
	return end, nil
}

func listenLoopback() ([]net.Listener, error) {
	for try := 1; ; try++ {
		four, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		six, err := net.Listen("tcp6", fmt.Sprintf("[::1]:%d", four.Addr().(*net.TCPAddr).Port))
		switch {
		case err == nil:
			return []net.Listener{four, six}, nil
		case try == portTries: // a machine without IPv6
			return []net.Listener{four}, nil
		}
		four.Close()
	}
}

// redirectURI is registered in Entra ID without a port, which it ignores for
// localhost, and only there.
func (e *browserEnd) redirectURI() string { return fmt.Sprintf("http://localhost:%d", e.port) }

// wait returns the browser's answer, from the listener or as pasted. Something
// else that is pasted, e.g. the address of an earlier try, ends nothing: the
// person is told, and may paste again.
func (e *browserEnd) wait(ctx context.Context, d Dialog) (redirect, *Error) {
	limit := time.NewTimer(signInTimeout)
	defer limit.Stop()
	pasted, earlier := d.Pasted(), ""
	for {
		select {
		case answer := <-e.answers:
			return answer, nil
		case text, open := <-pasted:
			if !open {
				pasted = nil
				continue
			}
			if strings.TrimSpace(text) == "" {
				continue
			}
			if strings.Contains(text, "?") {
				earlier = "" // another address begins
			}
			earlier = (earlier + text)[:min(len(earlier)+len(text), maxRedirect)]
			answer, err := e.read(parsePasted(text))
			if err != nil {
				answer, err = e.read(parsePasted(earlier)) // one that is broken into lines
			}
			if err == nil {
				return answer, nil
			}
			d.PasteAgain(err.Error())
		case <-limit.C:
			return redirect{}, &Error{Class: PersonNeeded, Text: fmt.Sprintf("nobody signed in within %d minutes: start the sign-in again", int(signInTimeout.Minutes()))}
		case <-ctx.Done():
			return redirect{}, errGivenUp(ctx.Err())
		}
	}
}

var (
	errNoAnswer   = errors.New("it isn't the address where signing in ended, which begins with http://localhost and holds a code")
	errOtherState = errors.New("it belongs to another sign-in: use the address that was shown last")
)

// read finds the answer among the values of a redirect (RFC 6749 section
// 4.1.2). One with another state isn't the answer to our question.
func (e *browserEnd) read(values url.Values) (redirect, error) {
	code, name := values.Get("code"), values.Get("error")
	if code == "" && name == "" {
		return redirect{}, errNoAnswer
	}
	if subtle.ConstantTimeCompare([]byte(values.Get("state")), []byte(e.state)) != 1 {
		return redirect{}, errOtherState
	}
	if name == "" {
		return redirect{Code: wire.NewSecret(code)}, nil
	}
	refusal := tokenError{Error: name, Description: values.Get("error_description")}
	failure := refusal.explain(http.StatusBadRequest, nil)
	if name == "access_denied" && failure.AADSTS == 0 {
		failure.Class, failure.Text = PersonNeeded, "the sign-in was declined: start it again"
	}
	return redirect{Failure: failure}, nil
}

// parsePasted takes the whole address or only its query, as terminals and
// mails leave it: in quotes, or broken into lines.
func parsePasted(text string) url.Values {
	text = strings.Trim(strings.Join(strings.Fields(text[:min(len(text), maxRedirect)]), ""), `"'<>`)
	if _, query, found := strings.Cut(text, "?"); found {
		text = query
	}
	text, _, _ = strings.Cut(text, "#")
	values, _ := url.ParseQuery(text) // what is malformed is missing in the values
	return values
}

// tell lets the browser's page say what came of the sign-in.
func (e *browserEnd) tell(in *signedIn, failure *Error) {
	e.once.Do(func() {
		e.page = resultPage(in, failure)
		close(e.told)
	})
}

// close ends the listener once the last page is out.
func (e *browserEnd) close() {
	e.tell(nil, errGivenUp(nil))
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = e.server.Shutdown(ctx)
	_ = e.server.Close()
	e.serving.Wait()
}
