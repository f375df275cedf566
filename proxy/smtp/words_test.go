package smtp

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"oauthproxy/internal/script/stage"
)

// wholeMessage is what a client says to send one, after its login.
const wholeMessage = "MAIL FROM:<kiosk@localhost>\r\nRCPT TO:<bob@contoso.example>\r\nDATA\r\nSubject: top secret\r\n\r\nnobody's business\r\n.\r\n"

// A message is one line in the log, with all that an administrator asks about,
// and without a word of the message or a secret.
func TestMessageInTheLog(t *testing.T) {
	login := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+stage.RuledDevice+"\x00"+stage.DevicePassword)) + "\r\n"
	chunk := "Subject: top secret\r\n\r\nnobody's business\r\n"
	tests := []struct {
		name, said string
		chunking   bool
		want       map[string]string
	}{
		{"by DATA", login + wholeMessage, false, map[string]string{"login": stage.RuledDevice, "sender": stage.DeviceMailbox}},
		{"by BDAT", login + wholeMessage, true, map[string]string{"login": stage.RuledDevice, "sender": stage.DeviceMailbox}},
		{"by the client's BDAT", auth + "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@contoso.example>\r\nBDAT 42 LAST\r\n" + chunk, true,
			map[string]string{"login": stage.User, "sender": "a@b.example"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := stage.New(t, Protocol{}, nil) // its end looks for secrets
			upstream := exchange{chunking: test.chunking, words: "250 2.0.0 OK <1@exchange.example> [Hostname=x]"}
			s.PlayUpstream(upstream.serve)
			s.Converse(t, []byte(test.said+"QUIT\r\n"))
			s.Shutdown(false)
			line := regexp.MustCompile(`(?m)^.* msg="message relayed" .*$`).FindAllString(s.Log.String(), -1)
			if len(line) != 1 {
				t.Fatalf("lines of the message: %q", line)
			}
			fields := make(map[string]string)
			for _, field := range regexp.MustCompile(`(\w+)=("[^"]*"|\S+)`).FindAllStringSubmatch(line[0], -1) {
				fields[field[1]] = strings.Trim(field[2], `"`)
			}
			for _, name := range []string{"session", "client", "bytes", "waited_ms", "duration_ms"} {
				if fields[name] == "" {
					t.Errorf("no %s in %s", name, line[0])
				}
			}
			test.want["recipients"], test.want["upstream_id"] = "1", "1@exchange.example"
			test.want["verdict"] = "250 2.0.0 OK <1@exchange.example> [Hostname=x]"
			for name, want := range test.want {
				if fields[name] != want {
					t.Errorf("%s=%q, want %q", name, fields[name], want)
				}
			}
			for _, word := range []string{"top secret", "nobody's business"} {
				if strings.Contains(s.Log.String(), word) {
					t.Errorf("the log holds %q of the message", word)
				}
			}
		})
	}
}

// A refusal of ours is one line, tells its cause within what a copier's display
// shows, and ends with the session's id.
func TestRepliesOfOurs(t *testing.T) {
	const display = 60
	form := regexp.MustCompile(`^[45]\d\d [45]\.\d\.\d{1,2} (.+) \(session [0-9A-Z]+\)$`)
	for _, refusal := range refusalsHeard(t) {
		words := form.FindStringSubmatch(refusal)
		if words == nil {
			t.Errorf("%q is not a code, words and the session's id", refusal)
			continue
		}
		cause, _, _ := strings.Cut(words[1], ":")
		if cause, _, _ = strings.Cut(cause, ","); len(cause) > display {
			t.Errorf("%q tells its cause in %d characters", refusal, len(cause))
		}
	}
}

// refusalsHeard returns the replies of ours to all that goes wrong in a session.
func refusalsHeard(t *testing.T) (all []string) {
	t.Helper()
	kiosk := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+stage.RuledDevice+"\x00"+stage.DevicePassword)) + "\r\n"
	mail := "MAIL FROM:<kiosk@localhost>\r\n"
	said := []string{
		"MAIL FROM:<a@b.example>\r\nXYZZY\r\nSTARTTLS\r\nSTARTTLS x\r\nAUTH\r\nAUTH NTLM\r\nAUTH PLAIN !\r\nNOOP " + strings.Repeat("x", maxLine) + "\r\n",
		"AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00nobody\x00"+stage.WrongPassword)) + "\r\n",
		strings.Repeat("XYZZY\r\n", maxErrors),
		auth + auth + "MAIL x\r\nRCPT TO:<x>\r\nDATA\r\nDATA x\r\n" + mail + mail + "RCPT x\r\nDATA\r\nBDAT 0\r\nBDAT x\r\n",
		auth + mail + "RCPT TO:<c@d.example>\r\nDATA\r\nx\n.\n",
		kiosk + "MAIL FROM:<boss@contoso.example>\r\nMAIL FROM:<>\r\n" + mail[:len(mail)-2] + " SIZE=9999999\r\n" + mail +
			"RCPT TO:<a@b.example>\r\nRCPT TO:<a@contoso.example>\r\nRCPT TO:<b@contoso.example>\r\nRCPT TO:<c@contoso.example>\r\nDATA\r\n" +
			strings.Repeat("x", 2000) + "\r\n.\r\n",
	}
	s := stage.New(t, Protocol{}, stage.Options{"log": "error"})
	upstream := exchange{} // refuses nothing
	s.PlayUpstream(upstream.serve)
	for _, text := range said {
		for line := range strings.SplitSeq(strings.TrimSuffix(s.Converse(t, []byte(text)), "\r\n"), "\r\n") {
			if line[0] == '4' || line[0] == '5' {
				all = append(all, line)
			}
		}
	}
	if len(all) < 25 {
		t.Errorf("%d refusals: %q", len(all), all)
	}
	return all
}

// What Exchange says against a message reaches the client unchanged; the log's
// line of the message says what to do about it.
func TestRefusedMessageInTheLog(t *testing.T) {
	tests := []struct{ name, words, want string }{
		{"sender not allowed", "554 5.2.252 SendAsDenied; alice@contoso.example not allowed to send as a@b.example; STOREDRV.Submission", "remedy_id=send-as-denied"},
		{"no right to the mailbox", "430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed", "remedy_id=mailbox-no-rights"},
		{"over two lines", "550-5.1.8 Access denied,\r\n550 5.1.8 bad outbound sender", "remedy_id=sender-blocked"},
		{"unknown", "554 5.0.0 something new", `verdict="554 5.0.0 something new"`},
	}
	for _, test := range tests {
		for _, chunking := range []bool{false, true} {
			t.Run(test.name, func(t *testing.T) {
				s := stage.New(t, Protocol{}, nil)
				upstream := exchange{chunking: chunking, words: test.words}
				s.PlayUpstream(upstream.serve)
				heard := s.Converse(t, []byte(auth+strings.Replace(wholeMessage, "kiosk@localhost", "a@b.example", 1)+"QUIT\r\n"))
				s.Shutdown(false)
				if !strings.Contains(string(heard), test.words+"\r\n") {
					t.Errorf("the client hears %q", heard)
				}
				line := regexp.MustCompile(`(?m)^.* msg="message relayed" .*$`).FindString(s.Log.String())
				if !strings.Contains(line, test.want) || strings.Contains(line, "remedy_id") != strings.Contains(test.want, "remedy_id") {
					t.Errorf("the log has %s", line)
				}
			})
		}
	}
}

// Whatever becomes of a message, its lines in the log tell what its client has
// been told.
func TestVerdictsInTheLog(t *testing.T) {
	login := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+stage.RuledDevice+"\x00"+stage.DevicePassword)) + "\r\n"
	two := strings.Replace(wholeMessage, "DATA", "RCPT TO:<dave@contoso.example>\r\nDATA", 1)
	no := ` verdict="550-5.7.1 no / 550 5.7.1 not here"`
	tests := []struct {
		name, refuses, said string
		want                []string // each in one line
	}{
		{"sender", "MAIL", two, []string{` msg="sender refused" .* login=kiosk .* sender=scanner@contoso.example` + no}},
		{"recipient", "RCPT TO:<bob", two, []string{
			` msg="recipient refused" .* login=kiosk .* sender=scanner@contoso.example recipient=<bob@contoso.example>` + no,
			` msg="message relayed" .* recipients=1 .* verdict="250 accepted"`,
		}},
		{"DATA", "DATA", wholeMessage, []string{` msg="message refused" .* login=kiosk .*` + no}},
		{"rule", "", strings.ReplaceAll(wholeMessage, "contoso", "elsewhere"), []string{` msg="refused by rule" .* verdict="550 5.7.1 This login may not`}},
		{"size", "", strings.Replace(wholeMessage, "nobody", strings.Repeat("x", 2000), 1), []string{` msg="message refused" .* verdict="552 5.3.4 `}},
		{"ambiguous", "", strings.Replace(wholeMessage, "nobody", "\n.\n", 1), []string{` msg="message refused" .* verdict="550 5.6.0 `}},
		{"cut off", "", strings.TrimSuffix(wholeMessage, ".\r\n"), []string{` msg="message not sent" .* verdict=none cause=`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := stage.New(t, Protocol{}, nil) // its end looks for secrets
			upstream := exchange{refuses: test.refuses}
			s.PlayUpstream(upstream.serve)
			said := login + test.said
			if test.name != "cut off" {
				said += "QUIT\r\n"
			}
			s.Converse(t, []byte(said))
			s.Shutdown(false)
			for _, want := range test.want {
				if got := regexp.MustCompile(`(?m)^.*`+want+`.*$`).FindAllString(s.Log.String(), -1); len(got) != 1 {
					t.Errorf("%d lines like %s", len(got), want)
				}
			}
		})
	}
}
