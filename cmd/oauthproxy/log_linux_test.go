package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"oauthproxy/config"
)

// TestJournal: where the journal listens, a line begins with its priority and
// has no time, as text and as JSON; elsewhere it is the other way round.
func TestJournal(t *testing.T) {
	for format, want := range map[string]string{
		"text": "<7>level=DEBUG msg=finest session=A time=kept\n<6>level=INFO msg=usual session=A time=kept\n" +
			"<4>level=WARN msg=odd session=A time=kept\n<3>level=ERROR msg=broken session=A time=kept\n",
		"json": `<7>{"level":"DEBUG","msg":"finest","session":"A","time":"kept"}` + "\n" + `<6>{"level":"INFO","msg":"usual","session":"A","time":"kept"}` + "\n" +
			`<4>{"level":"WARN","msg":"odd","session":"A","time":"kept"}` + "\n" + `<3>{"level":"ERROR","msg":"broken","session":"A","time":"kept"}` + "\n",
	} {
		t.Run(format, func(t *testing.T) {
			file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			info, err := file.Stat()
			if err != nil {
				t.Fatal(err)
			}
			stat := info.Sys().(*syscall.Stat_t)
			t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino))
			level := new(slog.LevelVar)
			log := newLog(file, config.Log{Level: "debug", Format: format}, level).With("session", "A")
			log.Debug("finest", "time", "kept")
			log.Info("usual", "time", "kept")
			log.Warn("odd", "time", "kept")
			log.Error("broken", "time", "kept")
			level.Set(slog.LevelError)
			log.Warn("not told")
			if got, _ := os.ReadFile(file.Name()); string(got) != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// TestJournalOfSomebodyElse: the variable may be inherited by what writes
// elsewhere.
func TestJournalOfSomebodyElse(t *testing.T) {
	for _, stream := range []string{"", "1:1", "nonsense"} {
		t.Setenv("JOURNAL_STREAM", stream)
		if isJournal(os.Stderr) || isJournal(newScreen()) {
			t.Errorf("JOURNAL_STREAM=%q is taken for the journal", stream)
		}
	}
}
