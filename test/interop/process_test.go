//go:build linux

package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that runs beside the tests and writes a log.
type process struct {
	command *exec.Cmd
	input   io.Closer     // nil, or what the process ends with
	ended   chan struct{} // closed when it has ended and its log is complete
	err     error         // how it ended; valid once ended is closed

	mu   sync.Mutex
	log  bytes.Buffer
	grew chan struct{} // closed, and replaced, when the log grows
}

// start starts a program. It gets SIGTERM when the tests are killed.
func start(command *exec.Cmd) (*process, error) {
	p := &process{command: command, ended: make(chan struct{}), grew: make(chan struct{})}
	command.Stdout, command.Stderr = p, p
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	// Children that outlive it would keep its log open.
	command.WaitDelay = patience
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// untilInputEnds is a shell script that runs a program and ends it when its own
// standard input ends.
const untilInputEnds = `
exec 3<&0
"$@" 3<&- &
program=$!
{ cat <&3; kill "$program"; } >/dev/null 2>&1 &
exec 3<&-
wait "$program"`

// startServer starts a program that changes its user, for which the system
// takes back its promise of that SIGTERM. The end of the tests is the end of
// the shell's standard input.
func startServer(environment []string, program ...string) (*process, error) {
	command := exec.Command("sh", append([]string{"-c", untilInputEnds, "sh"}, program...)...)
	command.Env = append(command.Environ(), environment...)
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	p, err := start(command)
	if err != nil {
		return nil, err
	}
	p.input = input
	return p, nil
}

// Write takes what the process writes.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.grew)
	p.grew = make(chan struct{})
	return p.log.Write(text)
}

// lines returns the log so far, and a channel that is closed when it grows.
func (p *process) lines() ([]string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Split(p.log.String(), "\n"), p.grew
}

// text returns the log so far.
func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// await waits until the log is as it should be.
func (p *process) await(what string, is func(log []string) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		log, grew := p.lines()
		if is(log) {
			return nil
		}
		select {
		case <-grew:
		case <-p.ended:
			return fmt.Errorf("%s ended before it could be seen that %s: %w\n%s", p.command.Path, what, p.err, p.text())
		case <-ctx.Done():
			return fmt.Errorf("%s: no sign within %v that %s\n%s", p.command.Path, patience, what, p.text())
		}
	}
}

// stop ends the process by SIGTERM, or by the end of its input, and returns how
// it ended.
func (p *process) stop() error {
	if p.input != nil {
		_ = p.input.Close()
	} else {
		_ = p.command.Process.Signal(syscall.SIGTERM)
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.ended:
		return p.err
	case <-late.C:
		_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL)
		<-p.ended
		return errors.Join(fmt.Errorf("%s: still running %v after it was told to stop", p.command.Path, patience), p.err)
	}
}
