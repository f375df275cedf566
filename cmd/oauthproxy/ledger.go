package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"oauthproxy/config"
	"oauthproxy/internal/safefile"
	"oauthproxy/proxy/smtp"
)

const (
	// ledgerFile is kept in the state directory. There is nothing secret in
	// it but who sends how much.
	ledgerFile = "recipients.json"
	// ledgerInterval is how much of what has been sent a crash may forget.
	ledgerInterval = 10 * time.Second
	maxLedger      = 64 << 20 // bytes
)

// ledgerKeeper keeps the count of recipients over a restart.
type ledgerKeeper struct {
	ledger *smtp.Ledger
	file   string
	log    *slog.Logger

	mu     sync.Mutex // over a save
	saved  []byte
	failed bool // told already
	newer  bool // the file is of a newer version's: it stays
}

// openLedger reads what an earlier run has sent. A file that can't be read is
// told and costs nothing but the count; one of a newer version isn't replaced.
func openLedger(c *config.Config, log *slog.Logger) *ledgerKeeper {
	k := &ledgerKeeper{
		ledger: smtp.NewLedger(pace(c)),
		file:   filepath.Join(c.StateDirectory, ledgerFile),
		log:    log,
	}
	text, err := safefile.Read(k.file, maxLedger)
	if err == nil {
		err = k.ledger.UnmarshalJSON(text)
	}
	if k.newer = errors.Is(err, smtp.ErrNewer); k.newer {
		log.Warn("the recipients of the last 24 hours aren't known, and won't be kept: the file is left to the newer version", "file", k.file, "cause", err)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the recipients of the last 24 hours aren't known, the count begins anew", "file", k.file, "cause", err)
	}
	k.saved, _ = json.Marshal(k.ledger)
	return k
}

// run saves the ledger whenever it has changed, until ctx ends.
func (k *ledgerKeeper) run(ctx context.Context) {
	tick := time.NewTicker(ledgerInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			k.save()
		case <-ctx.Done():
			return
		}
	}
}

// save saves the ledger if it has changed. Mail doesn't depend on it: trouble
// is told once, and tried again.
func (k *ledgerKeeper) save() {
	if k.newer {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	text, err := json.Marshal(k.ledger)
	if err != nil || bytes.Equal(text, k.saved) {
		return
	}
	if err = os.MkdirAll(filepath.Dir(k.file), 0o700); err == nil {
		err = safefile.Write(k.file, text, 0o600)
	}
	if err == nil {
		k.saved, k.failed = text, false
		return
	}
	if !k.failed {
		k.log.Warn("can't save the count of recipients: a restart would forget it", "cause", err)
	}
	k.failed = true
}

// pace is that of each mailbox.
func pace(c *config.Config) smtp.Pace {
	return smtp.Pace{MessagesPerMinute: c.Limits.MessagesPerMinute, RecipientsPerDay: c.Limits.RecipientsPerDay}
}
