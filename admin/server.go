package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// maxPath is the longest name of a socket that all systems take.
	maxPath = 103
	// maxConns bounds the connections at one time.
	maxConns = 64
	// acceptPause keeps a failing accept from spinning.
	acceptPause = 100 * time.Millisecond
)

// Server answers on a control socket.
type Server struct {
	service  Running
	log      *slog.Logger
	listener net.Listener
	ctx      context.Context // done when the server closes
	cancel   context.CancelFunc

	mu     sync.Mutex // orders the start of conns and the end of ctx
	open   int        // connections
	silent []net.Conn // those without a request yet, the oldest first
	conns  sync.WaitGroup
}

// Listen opens the control socket, readable for the process's user alone. One
// that a crash has left behind is replaced; one that somebody answers on is an
// error. A nil log gets nothing. Close must be called in the end.
func Listen(path string, s Running, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if len(path) > maxPath {
		return nil, fmt.Errorf("the name of the control socket %s is longer than %d bytes: set state_directory to a shorter one", path, maxPath)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("can't open the control socket%s: %w", whose(err), err)
	}
	// Until now the folder has kept others out.
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("can't protect the control socket: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{service: s, log: log, listener: listener, ctx: ctx, cancel: cancel}, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("can't look at the control socket%s: %w", whose(err), err)
	case info.Mode().IsRegular() || info.IsDir():
		return fmt.Errorf("%s is in the place of the control socket: move it away", path)
	}
	if c, err := net.DialTimeout("unix", path, quick); err == nil {
		_ = c.Close()
		return fmt.Errorf("another oauthproxy answers on %s: stop it first", path)
	}
	return os.Remove(path)
}

// whose says what to do where a folder can't be used.
func whose(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return ", whose folder has to belong to the user that oauthproxy runs as"
	}
	return ""
}

// LinkFrom makes path lead to the socket as well: it is where clients look that
// don't know where the server listens. The link is left when the server closes.
func (s *Server) LinkFrom(path string) error {
	socket := s.listener.Addr().String()
	if target, err := os.Readlink(path); path == socket || err == nil && target == socket {
		return nil
	}
	if err := removeStale(path); err != nil {
		return err
	}
	return os.Symlink(socket, path)
}

// Serve answers until the server is closed.
func (s *Server) Serve() {
	for {
		c, err := s.listener.Accept()
		switch {
		case err == nil:
			s.start(c)
			continue
		case s.ctx.Err() != nil:
			return
		}
		s.log.Warn("control socket: can't accept", "cause", err)
		select {
		case <-time.After(acceptPause):
		case <-s.ctx.Done():
		}
	}
}

// start serves a connection, unless the server closes. If there are too many,
// the oldest that hasn't spoken makes way.
func (s *Server) start(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		_ = c.Close()
		return
	}
	if s.open >= maxConns && len(s.silent) > 0 {
		_ = s.silent[0].Close()
		s.silent = s.silent[1:]
	} else if s.open >= maxConns {
		got := failed(errors.New("the service is busy with too many commands: try again later"))
		_ = newConn(c, 0).write(message{Result: &got})
		_ = c.Close()
		return
	}
	s.open++
	s.silent = append(s.silent, c)
	s.conns.Go(func() {
		s.serveConn(c)
		s.hasSpoken(c)
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
	})
}

// hasSpoken says that the connection needn't make way any more.
func (s *Server) hasSpoken(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = slices.DeleteFunc(s.silent, func(other net.Conn) bool { return other == c })
}

// Close closes the socket, ends what is under way and waits for it.
func (s *Server) Close() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	_ = s.listener.Close() // removes the file
	s.conns.Wait()
}
