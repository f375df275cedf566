package main

import (
	"context"
	"io"
	"log/slog"

	"oauthproxy/config"
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
	log := newLog(u.err, c.Log)
	s, err := newService(c, log)
	if err != nil {
		return u.failLocked(err, "stop that process first; a second service needs a state_directory of its own")
	}
	log.Info("started", "version", currentRelease(), "accounts", len(c.Accounts), "listeners", len(c.Listeners))
	s.serve(ctx)
	log.Info("stopped")
	return exitWell
}

// newLog returns a log as configured.
func newLog(w io.Writer, c config.Log) *slog.Logger {
	options := &slog.HandlerOptions{}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err == nil {
		options.Level = level
	}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
