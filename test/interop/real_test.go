//go:build linux

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"oauthproxy/internal/sandbox"
)

const (
	// mailUID owns the mailboxes: Dovecot serves no mail as root. It needs no
	// name.
	mailUID = 20000
	// mailboxCount is how many mailboxes there are to use up.
	mailboxCount = 5000
)

// realServers are Dovecot and Postfix, which run once for all tests, and the
// Entra ID that they ask.
type realServers struct {
	dir              string
	passwords        bool // they take those too
	ports            map[string]int
	entraID          *sandbox.Sandbox
	dovecot, postfix *process
	used             atomic.Int32 // mailboxes
}

// runningServers are the servers, once a test has asked for them.
type runningServers struct {
	sync.Once
	*realServers
	err error
}

// running are those of all tests but one, which needs servers that take
// directPassword too.
var running, runningWithPasswords runningServers

// directPassword is everybody's where there are passwords at all.
const directPassword = "no-secret"

// newRealService returns the servers with three mailboxes for the test.
func newRealService(t *testing.T) realService {
	t.Helper()
	return startedServers(t, &running, false).newService("imaps", "pop3s", "submission")
}

// startedServers returns the servers, which it starts if nobody has.
func startedServers(t *testing.T, r *runningServers, passwords bool) *realServers {
	t.Helper()
	needs(t, "dovecot", "postfix", "postconf")
	if os.Getuid() != 0 {
		lacks(t, "Dovecot and Postfix have to be started by root")
	}
	needShared(t)
	r.Do(func() { r.realServers, r.err = startRealServers(passwords) })
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.realServers
}

// startRealServers starts them on ports that were free a moment ago: where one
// is taken meanwhile, others are tried.
func startRealServers(passwords bool) (r *realServers, err error) {
	for range 3 {
		if r, err = tryRealServers(passwords); err == nil {
			return r, nil
		}
	}
	return nil, err
}

func tryRealServers(passwords bool) (*realServers, error) {
	dir, err := os.MkdirTemp(shared.folder, "")
	if err != nil {
		return nil, err
	}
	r := &realServers{dir: dir, passwords: passwords}
	if r.entraID, err = sandbox.Start(sandbox.Options{}); err != nil {
		return nil, err
	}
	err = errors.Join(os.Chmod(dir, 0o755), r.configure())
	if err == nil {
		err = r.startDovecot()
	}
	if err == nil {
		err = r.startPostfix()
	}
	if err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

// configure writes the files of both servers.
func (r *realServers) configure() (err error) {
	if r.ports, err = freePorts("imap", "imaps", "pop3", "pop3s", "submission", "submissions", "watched", "unchunked", "watcher"); err != nil {
		return err
	}
	for _, name := range []string{"dovecot.conf", "dovecot-oauth2.conf", "main.cf", "master.cf"} {
		err := fill(name, r.file(name), 0o644, map[string]any{
			"Dir": r.dir, "Mail": r.mail(), "UID": mailUID, "Ports": r.ports,
			"CertificateFile": shared.CertificateFile, "KeyFile": shared.KeyFile,
			"Introspection": r.entraID.Introspection(), "Passwords": r.passwords, "DirectPassword": directPassword,
		})
		if err != nil {
			return err
		}
	}
	var boxes bytes.Buffer
	for n := range mailboxCount {
		fmt.Fprintf(&boxes, "%s %s/\n", mailboxName(n), mailboxName(n))
	}
	return errors.Join(
		os.WriteFile(r.file("mailboxes"), boxes.Bytes(), 0o644),
		os.WriteFile(r.file("entra.pem"), r.entraID.CAPEM(), 0o644),
		os.Mkdir(r.file("queue"), 0o755),
		os.Mkdir(r.file("data"), 0o755),
		os.Mkdir(r.mail(), 0o755),
		os.Chown(r.mail(), mailUID, mailUID),
	)
}

func (r *realServers) file(name string) string { return filepath.Join(r.dir, name) }

func (r *realServers) mail() string { return r.file("mail") }

func (r *realServers) startDovecot() (err error) {
	if r.dovecot, err = startServer(nil, "dovecot", "-F", "-c", r.file("dovecot.conf")); err != nil {
		return err
	}
	return r.dovecot.await("it has started", logHas("starting up for imap, pop3"))
}

// startPostfix starts Postfix's master itself: the postfix command would put a
// shell of its own in between.
func (r *realServers) startPostfix() error {
	owner, folder, err := r.postfixSettings()
	if err != nil {
		return err
	}
	if err := os.Chown(r.file("data"), owner, -1); err != nil {
		return err
	}
	// This makes the folders of the queue.
	if out, err := exec.Command("postfix", "-c", r.dir, "check").CombinedOutput(); err != nil {
		return fmt.Errorf("postfix check: %w: %s", err, out)
	}
	r.postfix, err = startServer([]string{"MAIL_CONFIG=" + r.dir}, filepath.Join(folder, "master"), "-s")
	if err != nil {
		return err
	}
	return r.postfix.await("it has started", logHas("daemon started"))
}

// postfixSettings returns the user that Postfix runs as, and the folder of its
// programs.
func (r *realServers) postfixSettings() (uid int, folder string, err error) {
	out, err := exec.Command("postconf", "-c", r.dir, "-h", "mail_owner", "daemon_directory").Output()
	if err != nil {
		return 0, "", fmt.Errorf("postconf: %w", err)
	}
	var name string
	if _, err := fmt.Sscan(string(out), &name, &folder); err != nil {
		return 0, "", fmt.Errorf("postconf: %w", err)
	}
	owner, err := user.Lookup(name)
	if err != nil {
		return 0, "", err
	}
	uid, err = strconv.Atoi(owner.Uid)
	return uid, folder, err
}

func logHas(text string) func([]string) bool {
	return func(log []string) bool { return count(log, text) > 0 }
}

// count counts the lines that hold all of the texts.
func count(log []string, texts ...string) (n int) {
lines:
	for _, line := range log {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue lines
			}
		}
		n++
	}
	return n
}

// stopRealServers stops them, if they run. They end by the signal, or on
// their own account: either is well.
func stopRealServers() error {
	var errs []error
	for _, r := range []*realServers{running.realServers, runningWithPasswords.realServers} {
		if r != nil {
			errs = append(errs, r.stop())
		}
	}
	return errors.Join(errs...)
}

func (r *realServers) stop() error {
	var errs []error
	for _, p := range []*process{r.postfix, r.dovecot} {
		if p == nil {
			continue
		}
		err := p.stop()
		if _, byStatus := errors.AsType[*exec.ExitError](err); err != nil && !byStatus {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, r.entraID.Close())...)
}

// freePorts returns a free port of 127.0.0.1 for each name.
func freePorts(names ...string) (map[string]int, error) {
	ports := map[string]int{}
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // after all are known, so that they differ
		ports[name] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
