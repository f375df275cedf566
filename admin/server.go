package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
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
	service  Service
	log      *slog.Logger
	listener net.Listener
	ctx      context.Context // done when the server closes
	cancel   context.CancelFunc
	slots    chan struct{}

	mu    sync.Mutex // orders the start of conns and the end of ctx
	conns sync.WaitGroup
}

// Listen opens the control socket, readable for the process's user alone. One
// that a crash has left behind is replaced; one that somebody answers on is an
// error. A nil log gets nothing. Close must be called in the end.
func Listen(path string, s Service, log *slog.Logger) (*Server, error) {
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
		return nil, fmt.Errorf("can't open the control socket: %w", err)
	}
	// Until now the folder has kept others out.
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("can't protect the control socket: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{service: s, log: log, listener: listener, ctx: ctx, cancel: cancel, slots: make(chan struct{}, maxConns)}, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("can't look at the control socket: %w", err)
	case info.Mode().IsRegular() || info.IsDir():
		return fmt.Errorf("%s is in the place of the control socket: move it away", path)
	}
	if c, err := net.DialTimeout("unix", path, quick); err == nil {
		_ = c.Close()
		return fmt.Errorf("another oauthproxy answers on %s: stop it first", path)
	}
	return os.Remove(path)
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
		s.log.Warn("control socket: can't accept", "error", err)
		select {
		case <-time.After(acceptPause):
		case <-s.ctx.Done():
		}
	}
}

// start serves a connection, unless there are too many or the server closes.
func (s *Server) start(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		_ = c.Close()
		return
	}
	select {
	case s.slots <- struct{}{}:
		s.conns.Go(func() {
			defer func() { <-s.slots }()
			s.serveConn(c)
		})
	default:
		_ = c.Close()
	}
}

// Close closes the socket, ends what is under way and waits for it.
func (s *Server) Close() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	_ = s.listener.Close() // removes the file
	s.conns.Wait()
}
