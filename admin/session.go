package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"

	"oauthproxy/internal/wire"
	"oauthproxy/tokens"
)

// serveConn answers the one request of a connection.
func (s *Server) serveConn(nc net.Conn) {
	defer nc.Close()
	c := newConn(nc, maxRequest)
	defer context.AfterFunc(s.ctx, c.stopReading)()
	var r request
	if err := c.read(&r, quick); err != nil {
		s.log.Debug("control socket: no request", "cause", err)
		return
	}
	s.hasSpoken(nc)
	s.log.Debug("control socket: request", "command", r.Command, "account", r.Account)
	got := s.do(c, r)
	err := c.write(message{Result: &got})
	if errors.As(err, new(*json.MarshalerError)) { // nothing is written
		s.log.Error("control socket: the result can't be sent", "command", r.Command, "cause", err)
		got = failed(fmt.Errorf("the service can't say what came of it: %w", err))
		err = c.write(message{Result: &got})
	}
	if err != nil {
		s.log.Debug("control socket: nobody waits for the result", "command", r.Command, "cause", err)
	}
}

// do does what is asked for.
func (s *Server) do(c *conn, r request) result {
	if r.Version != version {
		return failed(fmt.Errorf("the command speaks version %d of the control protocol and the service version %d: restart the service after an update", r.Version, version))
	}
	switch r.Command {
	case ping:
		return result{}
	case accounts:
		all, err := s.service.Accounts(s.ctx)
		return result{Accounts: all, Error: failed(err).Error}
	case login:
		return s.signIn(c, r.Account)
	case logout:
		return failed(s.service.SignOut(s.ctx, r.Account))
	case reload:
		done, err := s.service.Reload(s.ctx)
		return result{Reloaded: &done, Error: failed(err).Error}
	case status:
		now, err := s.service.Status(s.ctx)
		return result{Status: &now, Error: failed(err).Error}
	case check:
		return s.check(c, r.Check)
	}
	return failed(fmt.Errorf("the service doesn't know the command %q", r.Command))
}

func failed(err error) result {
	if err == nil {
		return result{}
	}
	return result{Error: err.Error()}
}

// signIn lets the person at the other end sign in. It ends when they leave.
func (s *Server) signIn(c *conn, name string) result {
	ctx, cancel := context.WithCancel(s.ctx)
	d := &remoteDialog{conn: c, ctx: ctx, cancel: cancel, pasted: make(chan string, maxAnswers), passwords: make(chan wire.Secret, 1)}
	var listening sync.WaitGroup
	listening.Go(d.listen)
	account, err := s.service.SignIn(ctx, name, d)
	cancel()
	c.stopReading() // ends listen
	listening.Wait()
	if err != nil {
		return failed(err)
	}
	return result{Accounts: []Account{account}}
}

// maxAnswers bounds what a person has pasted and nobody has looked at yet.
const maxAnswers = 64

// remoteDialog is the dialog with a person at the other end of a connection.
type remoteDialog struct {
	conn      *conn
	ctx       context.Context
	cancel    context.CancelFunc // of the sign-in, when the person has gone
	pasted    chan string
	passwords chan wire.Secret
}

// listen hands over what the person says, until they leave or ctx ends. What
// nobody takes is dropped: waiting for that, it wouldn't see them leave.
func (d *remoteDialog) listen() {
	defer d.cancel()
	for d.ctx.Err() == nil {
		var a answer
		if err := d.conn.read(&a, slow); err != nil {
			return
		}
		if !a.Pasted.IsEmpty() {
			offer(d.pasted, a.Pasted.Reveal())
		}
		if !a.Password.IsEmpty() {
			offer(d.passwords, a.Password.Secret)
		}
	}
}

// offer puts v into the channel if there is room.
func offer[T any](to chan<- T, v T) {
	select {
	case to <- v:
	default:
	}
}

func (d *remoteDialog) tell(m message) {
	if d.conn.write(m) != nil {
		d.cancel()
	}
}

// Code sends the code.
func (d *remoteDialog) Code(code tokens.DeviceCode) {
	d.tell(message{Code: &deviceCode{code.URL, code.UserCode, code.Expires}})
}

// Address sends the address.
func (d *remoteDialog) Address(url string) { d.tell(message{Address: url}) }

// Pasted returns what comes back.
func (d *remoteDialog) Pasted() <-chan string { return d.pasted }

// PasteAgain sends the reason.
func (d *remoteDialog) PasteAgain(reason string) { d.tell(message{PasteAgain: reason}) }

// Password asks for the password and waits for it.
func (d *remoteDialog) Password(ctx context.Context) (wire.Secret, error) {
	d.tell(message{AskPassword: true})
	select {
	case password := <-d.passwords:
		return password, nil
	case <-ctx.Done():
		return wire.Secret{}, errors.New("nobody gave the password")
	}
}
