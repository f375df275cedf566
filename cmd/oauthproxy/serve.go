package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// serve runs the proxy until it is told to stop.
func serve(ctx context.Context, args []string, u *ui) int {
	o := newOptions("serve", u)
	if _, status, ok := o.parse(args, 0); !ok {
		return status
	}
	c, status := o.configuration()
	if c == nil {
		return status
	}
	level := new(slog.LevelVar)
	log := newLog(u.err, c.Log, level)
	sockets, err := inheritSockets()
	if err != nil {
		u.fail(err)
		return exitConfig
	}
	s, err := newService(c, log, level, sockets...)
	if errors.As(err, new(misfit)) {
		u.fail(err)
		return exitConfig
	}
	if err != nil {
		return u.failLocked(err, "stop that process first; a second service needs a state_directory of its own")
	}
	s.manager = newManager(log)
	log.Info("started", "version", currentRelease(), "accounts", len(c.Accounts), "listeners", len(c.Listeners))
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	served, hurry := make(chan struct{}), make(chan struct{})
	var listening sync.WaitGroup
	listening.Go(func() { s.obey(signals, hurry, served) })
	s.serve(ctx, hurry)
	signal.Stop(signals)
	close(served)
	listening.Wait()
	log.Info("stopped")
	return exitWell
}

// obey reloads at each SIGHUP. The first of the other signals ends the context
// that the service serves in; at the second it hurries. It ends with the service.
func (s *service) obey(signals <-chan os.Signal, hurry chan<- struct{}, served <-chan struct{}) {
	stops := 0
	for {
		select {
		case <-served:
			return
		case got := <-signals:
			if got == syscall.SIGHUP {
				_, _ = s.reload() // it logs what came of it
				continue
			}
			if stops++; stops == 2 {
				close(hurry)
			}
		}
	}
}
