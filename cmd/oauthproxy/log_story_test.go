package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"oauthproxy/internal/script/stage"
)

const (
	// Nothing that the program says has eight letters in common with these.
	storyPassword = "Zq8-fenk-Ruz-77!"
	wrongPassword = "Wx5+glim-Tov-31?"
	storyBody     = "Mjd-the-quiet-zebra-sings-9"
)

// TestLogOfADay: whatever happens in a session, by each protocol and at the
// finest level, each line is an event of docs/logs.md, of a level and with
// fields that are there; and none holds a secret or a piece of a message.
func TestLogOfADay(t *testing.T) {
	s := newSite(t, "device_code")
	s.change("scanner@contoso.example, app: devices, logins: [{user: scanner, password_hash: *hash}]",
		fmt.Sprintf("bob@contoso.example, app: devices, logins: [{user: bob, password_hash: %q}, {user: limited, allow_senders: [x@contoso.example], password_hash: %[1]q}]}\n"+
			"  - {mailbox: not-connected@contoso.example, app: devices, logins: [{user: off, password_hash: %[1]q}]", hashOf(t, storyPassword)))
	s.change("listeners:\n", "log: {level: debug, format: json}\nlisteners:\n  - {protocol: pop3, address: \"127.0.0.1:0\", tls: starttls}\n")
	s.change("upstream: {imap", "upstream: {pop3: {address: \""+s.POP3()+"\"}, imap")
	proxy := start(t, "serve", "--config", s.config)
	port := func(protocol string) string {
		return proxy.err.await(t, `"msg":"listening","protocol":"`+protocol+`","address":"([^"]+)"`)[1]
	}
	imap, smtp, pop3 := port("imap"), port("smtp"), port("pop3")
	s.logInByCode("alice@contoso.example", "alice@contoso.example")

	text := "Subject: " + storyBody + "\r\n\r\n" + storyBody + "\r\n"
	exchange(t, imap, "a LOGIN bob "+storyPassword, "b APPEND INBOX {"+fmt.Sprint(len(text))+"+}\r\n"+text, "c SELECT INBOX", "d FETCH 1:* BODY[]", "e LOGOUT")
	exchange(t, imap, "a LOGIN {3+}\r\nbob {16+}\r\n"+storyPassword, "b LOGOUT")
	exchange(t, imap, "a LOGIN bob "+wrongPassword, "b LOGIN off "+storyPassword, "c LOGIN off "+storyPassword, "d LOGOUT")
	exchange(t, imap, "a LOGIN alice \""+localPassword+"\"", "b LOGOUT")
	exchange(t, pop3, "USER bob", "PASS "+storyPassword, "RETR 1", "TOP 1 10", "QUIT")
	exchange(t, pop3, "USER bob", "PASS "+wrongPassword, "QUIT")
	plain := base64Of("\x00%s\x00" + storyPassword)
	auth := func(user string) string { return "AUTH PLAIN " + plain(user) }
	exchange(t, smtp, "EHLO x", auth("bob"), "MAIL FROM:<bob@contoso.example>", "RCPT TO:<alice@contoso.example>", "DATA", text+".", "QUIT")
	exchange(t, smtp, "EHLO x", "AUTH LOGIN", base64Of("%s")("bob"), base64Of("%s")(wrongPassword), "QUIT")
	exchange(t, smtp, "EHLO x", auth("limited"), "MAIL FROM:<bob@contoso.example>", "QUIT")
	exchange(t, smtp, "EHLO x", auth("bob"), "MAIL FROM:<bob@contoso.example>", "RCPT TO:<nobody@nowhere.example>", "RSET",
		"MAIL FROM:<stranger@elsewhere.example>", "RCPT TO:<alice@contoso.example>", "DATA", text+".", "QUIT")
	exchange(t, smtp, "GET / HTTP/1.1\r\n")
	s.status()
	s.reload(exitWell)
	s.change("protocol: imap,", "protocol: imapp,")
	s.reload(exitConfig)
	if got := runCommand(t, "", "logout", "alice@contoso.example", "--config", s.config); got.status != exitWell {
		t.Errorf("logout: %+v", got)
	}
	proxy.end(t)

	log := proxy.err.String()
	checkEvents(t, log)
	for _, secret := range []string{storyPassword, wrongPassword, storyBody, s.ClientSecret()} {
		for _, piece := range stage.Pieces(secret) {
			if strings.Contains(log, piece) {
				t.Errorf("the log holds %q, a piece of a secret", piece)
			}
		}
	}
	for _, piece := range append(stage.Pieces("auth=Bearer "), "eyJ0eX", "eyJhbG", localPassword) {
		if strings.Contains(log, piece) {
			t.Errorf("the log holds %q: a token, or a password", piece)
		}
	}
	if t.Failed() {
		t.Log(log)
	}
}

// checkEvents compares the lines with the page, and wants those that the story
// must have made.
func checkEvents(t *testing.T, log string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "logs.md"))
	if err != nil {
		t.Fatal(err)
	}
	type event struct{ levels, fields []string }
	events := make(map[string]event)
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([a-z, ]+) \\| (.*?) \\|").FindAllStringSubmatch(string(page), -1) {
		events[m[1]] = event{strings.Split(m[2], ", "), strings.Split(strings.Trim(m[3], "`"), "` `")}
	}
	seen := make(map[string]int)
	for line := range strings.Lines(log) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("%v: %s", err, line)
			continue
		}
		message, _ := fields["msg"].(string)
		level, _ := fields["level"].(string)
		e, known := events[message]
		if seen[message]++; !known || !slices.Contains(e.levels, strings.ToLower(level)) {
			t.Errorf("logs.md has no such event: %s", line)
			continue
		}
		for name := range fields {
			if !slices.Contains([]string{"time", "level", "msg"}, name) && !slices.Contains(e.fields, name) {
				t.Errorf("logs.md has no field %s: %s", name, line)
			}
		}
	}
	for _, want := range []string{"started", "listening", "connected", "connection refused", "logged in", "refused", "session closed", "dialogue", "message relayed",
		"refused by rule", "access token obtained", "signed in", "signed out", "reloaded", "not reloaded, nothing has changed", "stopping", "stopped"} {
		if seen[want] == 0 {
			t.Errorf("the story has no %q", want)
		}
	}
}

func base64Of(format string) func(string) string {
	return func(word string) string { return base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf(format, word))) }
}

// exchange says each line once something has been heard after the one before,
// and waits for the end.
func exchange(t *testing.T, address string, lines ...string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := textproto.NewConn(conn)
	for _, line := range lines {
		if _, err := in.ReadLine(); err != nil {
			return // the proxy has had enough
		}
		_, _ = io.WriteString(conn, line+"\r\n")
	}
	_, _ = io.Copy(io.Discard, in.R)
}
