package doctor

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"oauthproxy/internal/wire"
)

// The bounds of what anybody may say to us before a login.
const (
	maxLine  = 2 << 10 // RFC 5321 wants 512, RFC 9051 nothing
	maxLines = 100     // of one answer
)

// dialogue is what is said with a mail server, or with a port of our own, until
// a login could follow.
type dialogue struct {
	*wire.Conn
	protocol string // imap, pop3 or smtp
	name     string // what we call ourselves
}

// newDialogue begins one. Without a name we go by our address, which is right
// whatever this machine is called (RFC 5321 section 4.1.3).
func newDialogue(conn net.Conn, protocol, name string) *dialogue {
	if name == "" {
		name = addressLiteral(conn.LocalAddr())
	}
	return &dialogue{wire.New(conn), protocol, name}
}

func addressLiteral(local net.Addr) string {
	host, _, err := net.SplitHostPort(local.String())
	switch ip := net.ParseIP(host); {
	case err != nil || ip == nil:
		return "[127.0.0.1]"
	case ip.To4() == nil:
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + host + "]"
}

// tag is that of our commands in IMAP.
const tag = "a "

// upgrades are the commands by which TLS begins (RFC 3207, RFC 9051 section
// 6.2.1, RFC 2595 section 4).
var upgrades = map[string]string{"smtp": "STARTTLS", "imap": "STARTTLS", "pop3": "STLS"}

// disagreement is the answer to a command that isn't agreed to.
type disagreement struct{ command, answer string }

func (d *disagreement) Error() string {
	return fmt.Sprintf("it refuses: to %s it says %s", d.command, quote(d.answer))
}

// ask says a command and returns the lines of the answer, which has to be a yes;
// else it gives a [disagreement].
func (d *dialogue) ask(command string) (answer []string, err error) {
	line := command
	if d.protocol == "imap" {
		line = tag + command
	}
	d.Printf("%s", line)
	answer, agreed, err := d.readAnswer()
	if err == nil && !agreed {
		verb, _, _ := strings.Cut(command, " ")
		err = &disagreement{verb, answer[len(answer)-1]}
	}
	return answer, err
}

// must says a command that has to be agreed to.
func (d *dialogue) must(command string) error {
	_, err := d.ask(command)
	return err
}

// agreesTo says a command and tells whether it is agreed to.
func (d *dialogue) agreesTo(command string) (bool, error) {
	err := d.must(command)
	if _, isNo := errors.AsType[*disagreement](err); isNo {
		return false, nil
	}
	return err == nil, err
}

// hello introduces us to an SMTP server and returns what that offers.
func (d *dialogue) hello() (offer []string, err error) { return d.ask("EHLO " + d.name) }

// agreeOnTLS has the other side agree that TLS begins.
func (d *dialogue) agreeOnTLS() error { return d.must(upgrades[d.protocol]) }

func (d *dialogue) readAnswer() (answer []string, agreed bool, err error) {
	for range maxLines {
		line, err := d.ReadLine(maxLine)
		if err != nil {
			return nil, false, err
		}
		answer = append(answer, string(line))
		if isLast, agreed := d.judge(string(line)); isLast {
			return answer, agreed, nil
		}
	}
	return nil, false, wire.ErrFlood
}

// judge tells whether a line is the last one of an answer, and then whether
// that is a yes (RFC 5321 section 4.2, RFC 9051 section 7.1, RFC 1939 section 3).
func (d *dialogue) judge(line string) (isLast, agrees bool) {
	switch d.protocol {
	case "smtp":
		return !hasMore(line), strings.HasPrefix(line, "2")
	case "imap":
		return !strings.HasPrefix(line, "* "), hasWord(line, tag+"OK")
	}
	return true, hasWord(line, "+OK")
}

// hasMore tells whether more lines of an SMTP reply follow.
func hasMore(line string) bool { return len(line) > 3 && isDigits(line[:3]) && line[3] == '-' }

// hearGreeting reads what a mail server says first: it has to be a welcome.
func (d *dialogue) hearGreeting() (greeting []string, err error) {
	line, err := d.ReadLine(maxLine)
	if isLate(err) {
		return nil, &odd{remedy: portSilent, seen: "it takes the connection and says nothing"}
	}
	if err != nil {
		return nil, err
	}
	first := string(line)
	if err := judgeGreeting(d.protocol, first); err != nil || d.protocol != "smtp" || !hasMore(first) {
		return []string{first}, err
	}
	more, _, err := d.readAnswer()
	return append([]string{first}, more...), err
}

// askForTLS hears the greeting of a mail server and has it agree that TLS
// begins.
func (d *dialogue) askForTLS() (greeting []string, err error) {
	if greeting, err = d.hearGreeting(); err != nil {
		return nil, err
	}
	if d.protocol == "smtp" {
		if err := d.findSTARTTLS(); err != nil {
			return nil, err
		}
	}
	if err := d.agreeOnTLS(); err != nil {
		return nil, err
	}
	return greeting, nil
}

// findSTARTTLS looks for the extension in what an SMTP server offers.
func (d *dialogue) findSTARTTLS() error {
	offer, err := d.hello()
	if no, ok := errors.AsType[*disagreement](err); ok {
		return &odd{remedy: "greeting-refuses", seen: no.Error(), words: no.answer}
	}
	if err == nil && !offers(offer, "STARTTLS") {
		return &odd{remedy: "starttls-missing", seen: "it offers no STARTTLS"}
	}
	return err
}

// offers tells whether a reply to EHLO lists the keyword.
func offers(offer []string, keyword string) bool {
	for _, line := range offer {
		if len(line) > 4 && strings.EqualFold(strings.TrimSpace(line[4:]), keyword) {
			return true
		}
	}
	return false
}
