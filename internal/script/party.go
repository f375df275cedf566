package script

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// patience is how long a step may take before the story has failed. Nothing
// waits for it to end otherwise.
const patience = 20 * time.Second

// party is one connection that the script plays an end of.
type party struct {
	tcp  *net.TCPConn
	conn net.Conn // tcp, or TLS over it
	in   *bufio.Reader
	held []byte // said, and to be sent with what is said next
}

func newParty(tcp *net.TCPConn) *party {
	return &party{tcp: tcp, conn: tcp, in: bufio.NewReader(tcp)}
}

// say sends what is held and text.
func (p *party) say(text string) error {
	p.held = append(p.held, text...)
	said := p.held
	p.held = nil
	if len(said) == 0 {
		return nil
	}
	if err := p.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := p.conn.Write(said)
	return err
}

// hear returns the next line with its control characters made visible; its end
// is cut off when it is CRLF, as it should be.
func (p *party) hear() (string, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	line, err := p.in.ReadString('\n')
	if isEnd(err) && line != "" {
		return escape(line) + "(no line end)", nil
	}
	return escape(strings.TrimSuffix(line, "\r\n")), err
}

// hearEnd returns what is heard before the end.
func (p *party) hearEnd() (string, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	rest, err := io.ReadAll(p.in)
	if isEnd(err) {
		err = nil
	}
	return string(rest), err
}

// isEnd takes every way in which a connection may end for its end.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// end says what is held, and that there will be no more.
func (p *party) end() error {
	if err := p.say(""); err != nil {
		return err
	}
	return p.conn.(interface{ CloseWrite() error }).CloseWrite()
}

// reset closes as a host that has died does.
func (p *party) reset() error {
	_ = p.tcp.SetLinger(0)
	return p.tcp.Close()
}

// connectTLS and acceptTLS go on by TLS.
func (p *party) connectTLS(config *tls.Config) error {
	return p.handshake(tls.Client(p.conn, config))
}

func (p *party) acceptTLS(config *tls.Config) error {
	return p.handshake(tls.Server(p.conn, config))
}

func (p *party) handshake(t *tls.Conn) error {
	if n := p.in.Buffered(); n > 0 {
		ahead, _ := p.in.Peek(n)
		return fmt.Errorf("heard in clear before the handshake: %q", ahead)
	}
	if err := t.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := t.Handshake(); err != nil {
		return err
	}
	p.conn, p.in = t, bufio.NewReader(t)
	return nil
}
