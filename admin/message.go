package admin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"

	"oauthproxy/doctor"
	"oauthproxy/internal/wire"
)

// version is the protocol's. The command and the service may come from
// different versions of the program, until the service is restarted.
const version = 1

const (
	// maxRequest bounds a line of the client's, in bytes. What is pasted is
	// the longest: up to 32 KiB, of which JSON makes six times that at worst.
	maxRequest = 256 << 10
	// maxMessage bounds a line of the server's: room for thirty thousand accounts.
	maxMessage = 16 << 20
	// quick is how long everything takes that waits for nobody.
	quick = 10 * time.Second
	// slow is how long a request may take that waits for Entra ID, or for
	// somebody who signs in.
	slow = 20 * time.Minute
	// longest is how long a check of a thousand accounts may take.
	longest = 12 * time.Hour
)

// The commands of a request.
const (
	ping     = "ping"
	accounts = "accounts"
	login    = "login"
	logout   = "logout"
	check    = "check"
	reload   = "reload"
	status   = "status"
)

// request is a client's first line.
type request struct {
	Version int    `json:"version"`
	Command string `json:"command"`
	Account string `json:"account,omitempty"`
	// Check is what to examine.
	Check Examination `json:"check,omitzero"`
}

// answer is what a person says while signing in; one field is set.
type answer struct {
	Pasted   carried `json:"pasted,omitzero"`
	Password carried `json:"password,omitzero"`
}

// message is a line of the server's; one field is set.
type message struct {
	Code        *deviceCode     `json:"code,omitempty"`
	Address     string          `json:"address,omitempty"`
	PasteAgain  string          `json:"paste_again,omitempty"` // why
	AskPassword bool            `json:"ask_password,omitempty"`
	Begin       *probe          `json:"begin,omitempty"`
	Finding     *doctor.Finding `json:"finding,omitempty"`
	Result      *result         `json:"result,omitempty"` // the last line
}

type deviceCode struct {
	URL      string    `json:"url"`
	UserCode string    `json:"user_code"`
	Expires  time.Time `json:"expires"`
}

// probe is one of the doctor's that begins.
type probe struct {
	Probe   string `json:"probe"`
	Subject string `json:"subject"`
}

// result is what came of a request.
type result struct {
	Error    string    `json:"error,omitempty"`
	Accounts []Account `json:"accounts,omitempty"`
	Reloaded *Reloaded `json:"reloaded,omitempty"`
	Status   *Status   `json:"status,omitempty"`
}

// carried is a secret on its way through the socket, the one place where it is
// written out. Like every Secret it prints as ***.
type carried struct{ wire.Secret }

// MarshalJSON writes the value itself.
func (c carried) MarshalJSON() ([]byte, error) { return json.Marshal(c.Reveal()) }

// UnmarshalJSON reads the value.
func (c *carried) UnmarshalJSON(data []byte) error {
	var value string
	err := json.Unmarshal(data, &value)
	c.Secret = wire.NewSecret(value)
	return err
}

// IsZero is for omitzero.
func (c carried) IsZero() bool { return c.IsEmpty() }

// conn reads and writes lines of JSON.
type conn struct {
	net.Conn
	lines *bufio.Scanner
}

// newConn returns a conn whose lines have max bytes at most.
func newConn(c net.Conn, max int) *conn {
	lines := bufio.NewScanner(c)
	lines.Buffer(nil, max)
	return &conn{Conn: c, lines: lines}
}

// read reads a line within the time. Its errors don't quote the line.
func (c *conn) read(v any, within time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if !c.lines.Scan() {
		if err := c.lines.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	if json.Unmarshal(c.lines.Bytes(), v) != nil {
		return fmt.Errorf("a line isn't what version %d of the control protocol says", version)
	}
	return nil
}

// stopReading ends the read under way and all later ones.
func (c *conn) stopReading() {
	if half, ok := c.Conn.(interface{ CloseRead() error }); ok {
		_ = half.CloseRead()
	}
}

// write writes a line, whole or not at all: several goroutines may write.
func (c *conn) write(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := c.SetWriteDeadline(time.Now().Add(quick)); err != nil {
		return err
	}
	_, err = c.Write(append(line, '\n'))
	return err
}

func newCarried(text string) carried { return carried{wire.NewSecret(text)} }
