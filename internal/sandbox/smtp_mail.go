package sandbox

import (
	"regexp"
	"strconv"
	"strings"
)

const (
	// maxMessage is the SIZE that Exchange advertises, in bytes.
	maxMessage = 150 << 20

	// maxRecipients is the default limit of recipients per message.
	maxRecipients = 500
)

const replyTooLarge = "552 5.3.4 Message size exceeds fixed maximum message size"

// transaction is what MAIL, RCPT and BDAT have gathered.
type transaction struct {
	begun      bool
	from       string // "" for <>
	binary     bool   // BODY=BINARYMIME
	recipients []string
	chunks     *content // what BDAT has brought; nil: nothing yet
}

// mailPath and rcptPath match <address> and the parameters behind it; the
// address may hold a quoted string (RFC 5321 section 4.1.2). A blank before it
// is refused: what Exchange does then is not known.
var (
	mailPath = regexp.MustCompile(`^(?i:FROM):` + pathAndParameters)
	rcptPath = regexp.MustCompile(`^(?i:TO):` + pathAndParameters)
)

const pathAndParameters = `<((?:"(?:[^"\\]|\\.)*"|[^<>\s"])*)>((?: +[^ ]+)*) *$`

// parsePath splits the argument of MAIL or RCPT.
func parsePath(path *regexp.Regexp, argument string) (address string, parameters map[string]string, ok bool) {
	m := path.FindStringSubmatch(argument)
	if m == nil {
		return "", nil, false
	}
	parameters = map[string]string{}
	for _, parameter := range strings.Fields(m[2]) {
		name, value, _ := strings.Cut(parameter, "=")
		parameters[strings.ToUpper(name)] = value
	}
	return m[1], parameters, true
}

// mailFrom answers MAIL.
func (d *smtpDialogue) mailFrom(argument string) {
	from, parameters, ok := parsePath(mailPath, argument)
	size, err := strconv.ParseInt(orZero(parameters["SIZE"]), 10, 64)
	switch {
	case !d.hello:
		d.bad("503 5.5.2 Send hello first")
	case d.login.mailbox == nil:
		d.needAuth()
	case d.mail.begun:
		d.bad("503 5.5.2 Sender already specified")
	case !ok || err != nil || !onlyKnown(parameters, mailParameters):
		d.bad("501 5.5.4 Invalid arguments")
	case size > maxMessage:
		d.refuse(replyTooLarge)
	case d.login.mailbox.scenario.smtpMail != "":
		d.refuse(d.login.mailbox.scenario.smtpMail)
	default:
		d.mail = transaction{begun: true, from: from, binary: strings.EqualFold(parameters["BODY"], "BINARYMIME")}
		d.writeLine("250 2.1.0 Sender OK")
	}
}

// rcptTo answers RCPT.
func (d *smtpDialogue) rcptTo(argument string) {
	to, parameters, ok := parsePath(rcptPath, argument)
	switch m := d.sandbox.mailbox(to); {
	case !d.mail.begun:
		d.bad("503 5.5.2 Need mail command")
	case !ok || to == "" || !onlyKnown(parameters, rcptParameters):
		d.bad("501 5.5.4 Invalid arguments")
	case len(d.mail.recipients) >= maxRecipients:
		d.refuse("452 4.5.3 Too many recipients")
	case m != nil && m.scenario.smtpRcpt != "":
		d.refuse(m.scenario.smtpRcpt)
	default:
		d.mail.recipients = append(d.mail.recipients, to)
		d.writeLine("250 2.1.5 Recipient OK")
	}
}

// Parameters of the extensions that are offered: SIZE (RFC 1870), 8BITMIME and
// BINARYMIME (RFC 6152, 3030), SMTPUTF8 (RFC 6531), AUTH (RFC 4954), DSN (RFC
// 3461).
var (
	mailParameters = setOf("SIZE", "BODY", "SMTPUTF8", "AUTH", "RET", "ENVID")
	rcptParameters = setOf("NOTIFY", "ORCPT")
)

func onlyKnown(parameters map[string]string, known map[string]bool) bool {
	for name := range parameters {
		if !known[name] {
			return false
		}
	}
	return true
}

func orZero(number string) string {
	if number == "" {
		return "0"
	}
	return number
}
