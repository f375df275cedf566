package admin

import (
	"context"
	"errors"
	"sync"

	"oauthproxy/doctor"
)

// check examines for the command at the other end. It ends when that leaves.
func (s *Server) check(c *conn, e Examination) result {
	ctx, cancel := context.WithCancel(s.ctx)
	var listening sync.WaitGroup
	listening.Go(func() {
		defer cancel()
		// The command has nothing more to say: what comes is its end.
		_ = c.read(&answer{}, longest)
	})
	err := s.service.Check(ctx, e, &remoteObserver{c, cancel})
	cancel()
	c.stopReading()
	listening.Wait()
	return failed(err)
}

// remoteObserver is one at the other end of a connection.
type remoteObserver struct {
	conn   *conn
	cancel context.CancelFunc // of the check, when nobody listens any more
}

// Begin sends what begins.
func (r *remoteObserver) Begin(name, subject string) { r.tell(message{Begin: &probe{name, subject}}) }

// Found sends what was found.
func (r *remoteObserver) Found(f doctor.Finding) { r.tell(message{Finding: &f}) }

func (r *remoteObserver) tell(m message) {
	if r.conn.write(m) != nil {
		r.cancel()
	}
}

// Check lets the service look for what doesn't work: it has the secrets, the
// network and the rights that count.
func (c *Client) Check(ctx context.Context, e Examination, o doctor.Observer) error {
	_, err := c.do(ctx, request{Command: check, Check: e}, nil, o)
	return err
}

// observe hands o what the service tells, if it is for an observer.
func observe(m message, o doctor.Observer) error {
	switch {
	case o == nil || m.Begin == nil && m.Finding == nil:
		return errors.New("the service says something unexpected")
	case m.Begin != nil:
		o.Begin(m.Begin.Probe, m.Begin.Subject)
	default:
		o.Found(*m.Finding)
	}
	return nil
}
