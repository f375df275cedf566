package script

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Stage is what a story is played on: the proxy, and the two ends of it.
type Stage struct {
	// Proxy is the address of the proxy's listener.
	Proxy string
	// ClientTLS is the client's side of TLS with the proxy.
	ClientTLS *tls.Config
	// Upstream is where the proxy connects to, UpstreamTLS the upstream's
	// side of TLS.
	Upstream    *net.TCPListener
	UpstreamTLS *tls.Config
	// Response returns the XOAUTH2 response that the upstream should hear.
	Response func() string
	// Happen makes something happen to the proxy: the word behind P.
	Happen func(what string) error
	// Over stops the proxy when all clients have ended.
	Over func()
}

// player plays one story.
type player struct {
	Stage
	parties map[string]*party
	order   []*party // as they came
	played  []string // for the error
}

// Play plays the story. The error holds the transcript so far.
func (s *Story) Play(stage Stage) error {
	p := &player{Stage: stage, parties: make(map[string]*party)}
	defer p.close()
	for _, step := range s.steps {
		if err := p.step(step); err != nil {
			return fmt.Errorf("line %d: %s\n%w\nbefore that:\n%s", step.number, step.line, err, strings.Join(p.played, "\n"))
		}
		p.played = append(p.played, step.line)
	}
	if err := p.end(); err != nil {
		return fmt.Errorf("at the end of the story: %w", err)
	}
	return nil
}

func (p *player) close() {
	for _, party := range p.order {
		_ = party.tcp.Close()
	}
}

func (p *player) step(s step) error {
	if s.who == "P" {
		return p.Happen(s.text)
	}
	if s.verb == "do" && strings.HasPrefix(s.text, "CONNECT") {
		return p.connect(s)
	}
	if p.parties[s.who] == nil && s.who[0] == 'C' {
		if err := p.connect(s); err != nil {
			return err
		}
	}
	party := p.parties[s.who]
	switch {
	case party == nil:
		return fmt.Errorf("%s is not connected", s.who)
	case s.verb == "do":
		return p.handshake(party, s.who, s.text)
	case s.hears():
		return p.hear(party, s.text)
	}
	return say(party, s)
}

// connect begins a connection: the client's, or one that the proxy makes. The
// one before it of the same name has to be over.
func (p *player) connect(s step) error {
	if before := p.parties[s.who]; before != nil {
		_ = before.end()
		if err := finish(s.who, before); err != nil {
			return fmt.Errorf("the connection before: %w", err)
		}
	}
	var conn net.Conn
	var err error
	if s.who[0] == 'C' {
		conn, err = net.Dial("tcp", p.Proxy)
	} else if err = p.Upstream.SetDeadline(time.Now().Add(patience)); err == nil {
		conn, err = p.Upstream.Accept()
	}
	if err != nil {
		return err
	}
	party := newParty(conn.(*net.TCPConn))
	p.parties[s.who] = party
	p.order = append(p.order, party)
	if handshake, ok := strings.CutPrefix(s.text, "CONNECT "); ok && s.verb == "do" {
		return p.handshake(party, s.who, handshake)
	}
	return nil
}

func (p *player) handshake(party *party, who, text string) error {
	var err error
	if who[0] == 'C' {
		err = party.connectTLS(p.ClientTLS)
	} else {
		err = party.acceptTLS(p.UpstreamTLS)
	}
	switch text {
	case "TLS":
		return err
	case "TLS FAILS":
		if err == nil {
			return errors.New("the handshake did not fail")
		}
		return nil
	}
	return fmt.Errorf("unknown: %s", text)
}

func say(party *party, s step) error {
	switch {
	case s.text == "EOF":
		return party.end()
	case s.text == "RESET":
		return party.reset()
	case s.verb == "|":
		return party.say(s.text)
	case s.verb == "+":
		party.held = append(party.held, s.text+"\r\n"...)
		return nil
	}
	return party.say(s.text + "\r\n")
}

func (p *player) hear(party *party, pattern string) error {
	if pattern == "EOF" {
		rest, err := party.hearEnd()
		if err == nil && rest != "" {
			err = fmt.Errorf("heard %q", rest)
		}
		return err
	}
	if strings.Contains(pattern, "***") {
		pattern = strings.ReplaceAll(pattern, "***", p.Response())
	}
	heard, err := party.hear()
	if err != nil {
		return err
	}
	if !matches(pattern, heard) {
		return fmt.Errorf("heard: %s", heard)
	}
	return nil
}

// end lets all connections end, and checks that nothing has been left out of
// the story: nothing heard, nothing connected.
func (p *player) end() error {
	for who, party := range p.parties {
		if who[0] == 'C' {
			_ = party.end() // fails where it has ended already
		}
	}
	// Either the upstream closes first, when the proxy has, and then the proxy
	// the client; or the client is let go first, and what is kept for other
	// clients closes with the proxy.
	clients, upstreams := p.finish('C'), p.finish('U')
	err := clients()
	if p.Over != nil {
		p.Over()
	}
	if err = errors.Join(err, upstreams()); err != nil {
		return err
	}
	return p.noMoreConnections()
}

// finish begins to finish all parties of a side, and returns what waits for it.
func (p *player) finish(side byte) (wait func() error) {
	var running sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for who, party := range p.parties {
		if who[0] != side {
			continue
		}
		running.Go(func() {
			err := finish(who, party)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	return func() error {
		running.Wait()
		return errors.Join(errs...)
	}
}

// finish checks that the proxy ends a connection without having said more on
// it than the story knows.
func finish(who string, party *party) error {
	rest, err := party.hearEnd()
	_ = party.tcp.Close()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%s: the proxy doesn't end the connection: %w", who, err)
	}
	if rest != "" && (who[0] == 'C' || rest != "QUIT\r\n") {
		return fmt.Errorf("%s hears more: %q", who, rest)
	}
	return nil
}

// noMoreConnections checks that the proxy has made no other connection: one of
// our own is the next in the queue.
func (p *player) noMoreConnections() error {
	if p.Upstream == nil {
		return nil
	}
	own, err := net.Dial("tcp", p.Upstream.Addr().String())
	if err != nil {
		return err
	}
	defer own.Close()
	if err := p.Upstream.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	next, err := p.Upstream.Accept()
	if err != nil {
		return err
	}
	defer next.Close()
	if next.RemoteAddr().String() != own.LocalAddr().String() {
		return errors.New("the proxy has connected once more to the upstream")
	}
	return nil
}
