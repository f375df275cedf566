//go:build linux

package interop

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSocketActivation lets systemd-socket-activate open the ports: the proxy
// is started by the first client, and takes all three by their names.
func TestSocketActivation(t *testing.T) {
	needs(t, "systemd-socket-activate")
	needShared(t)
	service := newStandIn(t)
	configuration := filepath.Join(t.TempDir(), "config.yaml")
	writeConfiguration(t, configuration, service, []string{none})
	// An address of our own needs no port of our own.
	address := fmt.Sprintf("127.%d.%d.7", 1+os.Getpid()>>8&0x7f, os.Getpid()&0xff)
	s := &site{service: service, addresses: map[string]string{}}
	arguments := []string{"--fdname=" + strings.Join(protocols, ":")}
	for i, protocol := range protocols {
		s.addresses[protocol+" "+none] = fmt.Sprintf("%s:%d", address, 20001+i)
		arguments = append(arguments, "--listen="+s.address(protocol, none))
	}
	arguments = append(arguments, shared.program, "serve", "--config", configuration)
	var err error
	if s.process, err = start(exec.Command("systemd-socket-activate", arguments...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("the proxy did not stop well: %v\n%s", err, s.text())
		}
		s.checkLog(t)
	})
	if err := s.await("the ports are open", func(log []string) bool { return count(log, "Listening on", "as 5.") > 0 }); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range protocols {
		s.logIn(t, protocol, none, s.mailboxes()[0])
	}
}

// TestSocketForNobody: the proxy doesn't start when systemd has a port for
// which there is no listener, and says what to do.
func TestSocketForNobody(t *testing.T) {
	needShared(t)
	configuration := filepath.Join(t.TempDir(), "config.yaml")
	writeConfiguration(t, configuration, newStandIn(t), []string{none, startTLS})
	kept := keepSockets(t)
	p, err := start(kept.serve(configuration))
	if err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if status := p.command.ProcessState.ExitCode(); status != 78 {
		t.Errorf("status %d, want 78", status)
	}
	for _, want := range []string{`no listener is for systemd's socket "imap" (127.0.0.1:`, "write {protocol: imap, address:", "stop and disable"} {
		if !strings.Contains(p.text(), want) {
			t.Errorf("it doesn't say %q:\n%s", want, p.text())
		}
	}
}

// keptSockets are the ports as systemd keeps them while the service is
// started again.
type keptSockets struct {
	addresses map[string]string // by protocol
	files     []*os.File        // in the order of protocols
	notified  *net.UnixConn
	name      string // NOTIFY_SOCKET
}

func keepSockets(t *testing.T) *keptSockets {
	t.Helper()
	k := &keptSockets{addresses: map[string]string{}, name: filepath.Join(t.TempDir(), "notify")}
	var err error
	if k.notified, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: k.name}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.notified.Close() })
	for _, protocol := range protocols {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		k.addresses[protocol] = listener.Addr().String()
		file, err := listener.(*net.TCPListener).File()
		_ = listener.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		k.files = append(k.files, file)
	}
	return k
}

// serve is the command that systemd would start.
func (k *keptSockets) serve(configuration string) *exec.Cmd {
	command := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", shared.program, "serve", "--config", configuration)
	command.ExtraFiles = k.files
	command.Env = append(command.Environ(), "GORACE=atexit_sleep_ms=0", "NOTIFY_SOCKET="+k.name,
		fmt.Sprint("LISTEN_FDS=", len(k.files)), "LISTEN_FDNAMES="+strings.Join(protocols, ":"))
	return command
}

// hears waits until the service has told systemd so.
func (k *keptSockets) hears(t *testing.T, assignment string) {
	t.Helper()
	_ = k.notified.SetReadDeadline(time.Now().Add(patience))
	message := make([]byte, 4096)
	for {
		n, err := k.notified.Read(message)
		if err != nil {
			t.Fatalf("systemd didn't hear %s: %v", assignment, err)
		}
		if strings.Contains("\n"+string(message[:n])+"\n", "\n"+assignment+"\n") {
			return
		}
	}
}

// TestRestartRefusesNobody: while the service is started again and again under
// sockets that systemd keeps, every client gets in, now or a moment later.
func TestRestartRefusesNobody(t *testing.T) {
	needShared(t)
	configuration := filepath.Join(t.TempDir(), "config.yaml")
	writeConfiguration(t, configuration, newStandIn(t), []string{none})
	kept := keepSockets(t)
	var (
		clients  sync.WaitGroup
		greeted  = make(chan struct{}, 1)
		finished = make(chan struct{})
	)
	for i := range 6 {
		clients.Go(func() { keepComing(t, kept.addresses[protocols[i%len(protocols)]], greeted, finished) })
	}
	const restarts = 5
	for i := range restarts {
		p, err := start(kept.serve(configuration))
		if err != nil {
			t.Fatal(err)
		}
		kept.hears(t, "READY=1")
		for range 50 {
			select {
			case <-greeted:
			case <-time.After(patience):
				t.Fatalf("nobody gets in\n%s", readable(p.text()))
			}
		}
		if i == restarts-1 {
			close(finished)
			clients.Wait()
		}
		if err := p.stop(); err != nil {
			t.Errorf("the proxy did not stop well: %v\n%s", err, readable(p.text()))
		}
		kept.hears(t, "STOPPING=1")
	}
}

// keepComing connects again and again until finished.
func keepComing(t *testing.T, address string, greeted chan<- struct{}, finished <-chan struct{}) {
	for {
		if err := greet(address); err != nil {
			t.Error(err)
			return
		}
		select {
		case greeted <- struct{}{}:
		case <-finished:
			return
		default:
		}
	}
}

// greet connects and hears a first line, be it a goodbye.
func greet(address string) error {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("connected to %s and heard %q: %w", address, line, err)
	}
	return nil
}
