package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/wire"
)

// Numbers of Windows Sockets, which package syscall doesn't map to the common
// ones. No other system has numbers as high.
const (
	wsaAccess       = syscall.Errno(10013)
	wsaInUse        = syscall.Errno(10048)
	wsaNotAvailable = syscall.Errno(10049)
	wsaRefused      = syscall.Errno(10061)
)

// listeners tries our own ports: as a client where they should be open, else
// whether they could be.
func (e *examination) listeners(ctx context.Context) {
	if !e.IsServing {
		e.ports(ctx)
		return
	}
	for _, l := range e.Listeners {
		answers := e.listener(ctx, l, e.tryListener)
		if l.Protocol == "smtp" {
			e.openRelay(ctx, l, answers)
		}
	}
}

// ports tries whether the listeners could be opened. That the service isn't
// running, and how to start it, is told once.
func (e *examination) ports(ctx context.Context) {
	isTold := false
	for _, l := range e.Listeners {
		e.listener(ctx, l, func(ctx context.Context, l Listener) Finding {
			f := tryPort(ctx, l)
			if f.Cause != "not-running" {
				return f
			}
			if isTold {
				f.Means, f.Who, f.Do, f.Fix = "", "", "", nil
			}
			isTold = true
			return f
		})
	}
}

// listener makes one probe of a port, and tells whether it answers well.
func (e *examination) listener(ctx context.Context, l Listener, try func(context.Context, Listener) Finding) (answers bool) {
	if ctx.Err() != nil {
		return false
	}
	found := e.probe("listener", l.name(), "")
	bounded, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	f := try(bounded, l)
	if ctx.Err() != nil {
		return false
	}
	found(f)
	return f.Status == OK || f.Status == Warning
}

func (l Listener) name() string { return l.Protocol + " " + l.Address }

func (l Listener) certificate() string { return "the certificate of the listener " + l.Address }

func (l Listener) facts() map[string]string {
	return map[string]string{"address": l.Address, "protocol": l.Protocol, "what": l.certificate()}
}

// tryListener is a client of a port that should be open.
func (e *examination) tryListener(ctx context.Context, l Listener) Finding {
	v, err := enter(ctx, l)
	if err != nil {
		return l.noEntry(err)
	}
	defer v.leave()
	if !l.admits(v.from) {
		return Finding{Status: Note, Seen: fmt.Sprintf("the port is open, but not for this machine (%s): its networks don't include that, so it can't be tried from here", v.from)}
	}
	if err := l.converse(v); err != nil {
		return l.noConversation(v, err)
	}
	if e.HostName != "" && v.hostName != e.HostName {
		return wrong(Broken, "another oauthproxy answers: it calls its host "+clean(v.hostName), remedy.Named("listener-foreign"), l.facts())
	}
	if l.TLS == "auto" {
		if err := tryBothWays(ctx, l); err != nil {
			return l.noConversation(v, err)
		}
	}
	return l.conversed(v)
}

// enter connects at the first address at which the listener lets this machine
// in; or else, where it lets it in nowhere, at any.
func enter(ctx context.Context, l Listener) (v *visitor, err error) {
	for _, target := range l.targets() {
		other, problem := visit(ctx, l.Protocol, target)
		if problem != nil {
			err = problem
			continue
		}
		if v != nil {
			v.leave()
		}
		if v = other; l.admits(v.from) {
			break
		}
	}
	if v != nil {
		return v, nil
	}
	return nil, err
}

// converse talks to the port as its mode has it, and says goodbye.
func (l Listener) converse(v *visitor) error {
	mode := l.TLS
	if mode == "auto" {
		mode = "starttls"
	}
	if err := v.begin(mode); err != nil {
		return err
	}
	if l.Protocol == "smtp" {
		if _, err := v.hello(); err != nil {
			return err
		}
	}
	return v.must(farewells[l.Protocol])
}

// tryBothWays tries the other way to TLS of a listener that has two: from the
// first byte on.
func tryBothWays(ctx context.Context, l Listener) error {
	l.TLS = "implicit"
	v, err := enter(ctx, l)
	if err != nil {
		return err
	}
	defer v.leave()
	return l.converse(v)
}

// conversed is what is found of a port that answers as it should.
func (l Listener) conversed(v *visitor) Finding {
	state, encrypted := v.TLS()
	if !encrypted || len(state.PeerCertificates) == 0 {
		return well("it answers")
	}
	leaf := state.PeerCertificates[0]
	f := Certificate{What: l.certificate()}.judge(leaf, time.Now())
	switch {
	case f.Status != OK:
		f.Seen = "it answers over TLS, with a certificate that " + f.Seen
	case len(certificateNames(leaf)) == 0:
		return wrong(Warning, "it answers over TLS, with a certificate that has no names", remedy.Named("certificate-nameless"), l.facts())
	default:
		f.Seen = "it answers over TLS, with a certificate " + f.Seen
	}
	return f
}

// noEntry is what is found where no connection comes about.
func (l Listener) noEntry(err error) Finding {
	switch {
	case isAny(err, syscall.ECONNREFUSED, wsaRefused):
		return wrong(Broken, "nothing listens on the port", remedy.Named("listener-closed"), l.facts())
	case isTimeout(err):
		return wrong(Broken, "no connection within "+inSeconds(answerTimeout), remedy.Named("listener-silent"), l.facts())
	}
	return wrong(Broken, "no connection: "+explain(err).seen, remedy.Named("listener-closed"), l.facts())
}

// noConversation is what is found where the port doesn't speak as it should.
func (l Listener) noConversation(v *visitor, err error) Finding {
	id, seen := "listener-silent", "the connection is lost: "+explain(err).seen
	switch {
	case errors.Is(err, errForeign):
		id, seen = "listener-foreign", fmt.Sprintf("another program answers: it says %q", clean(v.greeting))
	case errors.Is(err, errTLS):
		id, seen = "listener-tls", "TLS can't be begun: "+strings.TrimPrefix(explain(err).seen, errTLS.Error()+": ")
	case errors.As(err, new(*disagreement)):
		id, seen = "listener-foreign", "it doesn't speak as oauthproxy does: "+explain(err).seen
	case isAny(err, wire.ErrTooLong, wire.ErrFlood):
		id, seen = "listener-foreign", "another program answers: it says more than any mail server does"
	case errors.Is(err, io.EOF):
		seen = "it closes the connection"
	case isTimeout(err):
		seen = "it says nothing for " + inSeconds(answerTimeout)
	}
	return wrong(Broken, seen, remedy.Named(id), l.facts())
}

// tryPort tells whether a port could be opened, by opening it.
func tryPort(ctx context.Context, l Listener) Finding {
	opened, err := new(net.ListenConfig).Listen(ctx, "tcp", l.Address)
	if err == nil {
		_ = opened.Close()
		return wrong(Note, "the port is free; nobody listens there yet", remedy.Named("not-running"), l.facts())
	}
	switch {
	case isAny(err, syscall.EADDRINUSE, wsaInUse):
		return taken(ctx, l)
	case isAny(err, fs.ErrPermission, wsaAccess):
		return wrong(Warning, "this user may not open the port", remedy.Named("port-privileged"), l.facts())
	case isAny(err, syscall.EADDRNOTAVAIL, wsaNotAvailable):
		return wrong(Broken, "this machine doesn't have the address", remedy.Named("address-not-here"), l.facts())
	}
	return wrong(Broken, "the port can't be opened: "+explain(err).seen, remedy.Named("port-unusable"), l.facts())
}

// taken tells who has a port, as far as a greeting does. If it is this program,
// that may well be the service, which this command couldn't ask.
func taken(ctx context.Context, l Listener) Finding {
	v, err := enter(ctx, l)
	if err != nil {
		return wrong(Broken, "another program has the port", remedy.Named("port-taken"), l.facts())
	}
	defer v.leave()
	err = l.converse(v)
	switch {
	case v.hostName != "":
		return wrong(Note, "oauthproxy answers there already, as "+clean(v.hostName), remedy.Named("running-elsewhere"), l.facts())
	case errors.Is(err, errForeign):
		return wrong(Broken, fmt.Sprintf("another program has the port; it says %q", clean(v.greeting)), remedy.Named("port-taken"), l.facts())
	}
	return wrong(Broken, "another program has the port", remedy.Named("port-taken"), l.facts())
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// isTimeout tells whether time has run out; that of a whole probe does by
// closing the connection.
func isTimeout(err error) bool { return isLate(err) || errors.Is(err, net.ErrClosed) }
