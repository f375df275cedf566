package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// This file is the program without OAuth2 in the demo: it logs in with a user
// name and a password, as mail programs have always done.

var errAltered = errors.New("the message that came back isn't the one that was sent")

// demoSend sends the message to its sender.
func demoSend(conn net.Conn, password string, message []byte) error {
	c := smtp.NewClient(conn)
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", demoUser, password)); err != nil {
		return err
	}
	if err := c.SendMail(demoUser, []string{demoUser}, bytes.NewReader(message)); err != nil {
		return err
	}
	return c.Quit()
}

// demoReadIMAP fetches the newest message and compares it.
func demoReadIMAP(conn net.Conn, password string, message []byte) error {
	c := imapclient.New(conn, nil)
	defer c.Close()
	if err := c.Login(demoUser, password).Wait(); err != nil {
		return err
	}
	selected, err := c.Select("INBOX", nil).Wait()
	if err != nil {
		return err
	}
	if selected.NumMessages == 0 {
		return errors.New("the mailbox is empty")
	}
	section := &imap.FetchItemBodySection{Peek: true}
	fetched, err := c.Fetch(imap.SeqSetNum(selected.NumMessages), &imap.FetchOptions{
		BodySection: []*imap.FetchItemBodySection{section},
	}).Collect()
	if err != nil {
		return err
	}
	if len(fetched) != 1 || !bytes.Equal(fetched[0].FindBodySection(section), message) {
		return errAltered
	}
	return c.Logout().Wait()
}

// demoReadPOP3 fetches the newest message and compares it.
func demoReadPOP3(conn net.Conn, password string, message []byte) error {
	c := textproto.NewConn(conn)
	answer := func() (string, error) {
		line, err := c.ReadLine()
		if err == nil && !strings.HasPrefix(line, "+OK") {
			err = fmt.Errorf("the answer was %q", line)
		}
		return line, err
	}
	ask := func(format string, args ...any) (string, error) {
		if err := c.PrintfLine(format, args...); err != nil {
			return "", err
		}
		return answer()
	}
	if _, err := answer(); err != nil { // the greeting
		return err
	}
	for _, command := range []string{"USER " + demoUser, "PASS " + password} {
		if _, err := ask("%s", command); err != nil {
			return err
		}
	}
	stat, err := ask("STAT")
	if err != nil {
		return err
	}
	var count, size int
	if _, err := fmt.Sscanf(stat, "+OK %d %d", &count, &size); err != nil {
		return fmt.Errorf("the answer to STAT was %q", stat)
	}
	if _, err := ask("RETR %d", count); err != nil {
		return err
	}
	// DotReader turns CRLF into LF: so does the comparison.
	got, err := io.ReadAll(c.DotReader())
	if err != nil {
		return err
	}
	if !bytes.Equal(got, bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n"))) {
		return errAltered
	}
	_, err = ask("QUIT")
	return err
}
