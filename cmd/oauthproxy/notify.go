package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// notifyWait is how long systemd may take for a message: where it hangs,
	// mail goes on.
	notifyWait = time.Second
	// statusEvery is how often the line of "systemctl status" is looked at.
	statusEvery = 10 * time.Second
	// stopMargin is what ending takes beside the grace of the sessions.
	stopMargin = 15 * time.Second
)

// manager is systemd, which is told how the service stands (sd_notify(3)). A
// nil one is none.
type manager struct {
	socket   string        // of its messages
	watchdog time.Duration // without a sign of life for so long we are started again; 0: never
	log      *slog.Logger
}

// newManager returns the systemd that has started this process; nil: none has
// that wants to hear. Programs that we start don't see it.
func newManager(log *slog.Logger) *manager {
	socket := os.Getenv("NOTIFY_SOCKET")
	_ = os.Unsetenv("NOTIFY_SOCKET")
	watchdog, err := daemon.SdWatchdogEnabled(true)
	if err != nil {
		log.Warn("systemd's watchdog is not served", "cause", err)
	}
	if socket == "" {
		return nil
	}
	return &manager{socket: socket, watchdog: watchdog, log: log}
}

// ready tells that all ports are open, or that a reload has ended.
func (m *manager) ready(status string) { m.tell(daemon.SdNotifyReady, statusLine(status)) }

// reloading tells that the configuration is read again; ready is due then.
func (m *manager) reloading() {
	// The library ends this one with a line end.
	now := strings.TrimSpace(daemon.SdNotifyMonotonicUsec())
	m.tell(daemon.SdNotifyReloading, now, statusLine("reading the configuration again"))
}

// stopping tells that the service ends, and asks for the time that it takes:
// the unit may give less.
func (m *manager) stopping(grace time.Duration, status string) {
	m.tell(daemon.SdNotifyStopping, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (grace+stopMargin).Microseconds()), statusLine(status))
}

// attend tells of changes of the status, and serves the watchdog for as long
// as the service is well, until ctx ends. A service that hangs in alive isn't.
func (m *manager) attend(ctx context.Context, alive func() error, status func() string) {
	if m == nil {
		return
	}
	every := statusEvery
	if m.watchdog > 0 {
		every = min(every, m.watchdog/2)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	told, ill := "", ""
	for {
		var news []string
		if m.watchdog > 0 {
			if err := alive(); err == nil {
				news, ill = append(news, daemon.SdNotifyWatchdog), ""
			} else if ill != err.Error() {
				ill = err.Error()
				m.log.Error("not well: systemd starts the service again unless that passes", "grace_ms", m.watchdog.Milliseconds(), "cause", err)
			}
		}
		if now := status(); now != told {
			told = now
			news = append(news, statusLine(now))
		}
		if len(news) > 0 {
			m.tell(news...)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// statusLine is a line for "systemctl status".
func statusLine(text string) string { return "STATUS=" + strings.ReplaceAll(text, "\n", " ") }

// tell sends assignments as one message. (daemon.SdNotify would read the
// socket's name from the environment each time, where other programs see it
// too, and wait for as long as systemd hangs.)
func (m *manager) tell(assignments ...string) {
	if m == nil {
		return
	}
	if err := m.send(strings.Join(assignments, "\n")); err != nil {
		m.log.Warn("systemd can't be told how the service stands", "cause", err)
	}
}

func (m *manager) send(message string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: m.socket})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(notifyWait)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(message))
	return err
}

// standing says in a line how the service stands.
func (s *service) standing() string {
	loggedIn, arriving := s.server.Count()
	text := plural(len(s.openPortsNow()), "listener") + ", " + plural(loggedIn, "session")
	if arriving > 0 {
		text += fmt.Sprintf(", %d before the login", arriving)
	}
	if s.stopping.Load() {
		return "stopping: " + text
	}
	return text
}
