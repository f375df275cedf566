package main

import (
	"context"
	"io"
	"log/slog"

	"oauthproxy/config"
)

// newLog returns a log as configured. Its level can be changed later.
func newLog(w io.Writer, c config.Log, level *slog.LevelVar) *slog.Logger {
	setLevel(level, c)
	if isJournal(w) {
		return slog.New(newJournal(w, c, level))
	}
	return slog.New(newHandler(w, c, &slog.HandlerOptions{Level: level}))
}

func newHandler(w io.Writer, c config.Log, options *slog.HandlerOptions) slog.Handler {
	if c.Format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// setLevel sets a log's level as configured.
func setLevel(to *slog.LevelVar, c config.Log) {
	var level slog.Level
	if level.UnmarshalText([]byte(c.Level)) == nil {
		to.Set(level)
	}
}

// journal writes lines for systemd's journal: each begins with its priority
// (sd-daemon(3)), and none has a time, for the journal knows that. A handler
// writes a record in one go, so each priority has one of its own.
type journal struct {
	level  slog.Leveler
	levels []slog.Level // ascending
	by     []slog.Handler
}

func newJournal(w io.Writer, c config.Log, level slog.Leveler) *journal {
	withoutTime := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
			return slog.Attr{}
		}
		return a
	}
	j := &journal{level: level}
	for _, p := range []struct {
		level  slog.Level
		prefix string
	}{{slog.LevelDebug, "<7>"}, {slog.LevelInfo, "<6>"}, {slog.LevelWarn, "<4>"}, {slog.LevelError, "<3>"}} {
		j.levels = append(j.levels, p.level)
		// The journal has asked for the level: the handlers take everything.
		j.by = append(j.by, newHandler(&prefixed{w, p.prefix}, c, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime}))
	}
	return j
}

// Enabled implements [slog.Handler].
func (j *journal) Enabled(_ context.Context, level slog.Level) bool { return level >= j.level.Level() }

// Handle implements [slog.Handler].
func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	i := 0
	for i+1 < len(j.levels) && j.levels[i+1] <= r.Level {
		i++
	}
	return j.by[i].Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	return j.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements [slog.Handler].
func (j *journal) WithGroup(name string) slog.Handler {
	return j.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (j *journal) with(change func(slog.Handler) slog.Handler) *journal {
	changed := &journal{level: j.level, levels: j.levels}
	for _, h := range j.by {
		changed.by = append(changed.by, change(h))
	}
	return changed
}

// prefixed writes something before each line, in one write with it: lines of
// other priorities may come at the same time.
type prefixed struct {
	io.Writer
	prefix string
}

func (p *prefixed) Write(line []byte) (int, error) {
	n, err := p.Writer.Write(append([]byte(p.prefix), line...))
	return max(0, n-len(p.prefix)), err
}
