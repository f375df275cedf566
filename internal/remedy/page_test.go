package remedy_test

import (
	"bytes"
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"unicode"

	"oauthproxy/internal/remedy"
	"oauthproxy/proxy"
)

var update = flag.Bool("update", false, "write docs/troubleshooting.md anew")

// page is what testdata/troubleshooting.md.tmpl shows.
type page struct {
	Tells    []told
	Kinds    []kind
	Sections []section
}

// told is a text that clients are told, and what it may be.
type told struct {
	Text string
	IDs  []string
}

// kind is a refusal for which the table has no text of its own.
type kind struct{ Text, Look string }

type section struct {
	Section             remedy.Section
	Anchor, Title, Seen string
	About               string
	IsTable             bool
	Remedies            []remedy.Remedy
}

var sections = []section{
	{Section: remedy.SignIn, Anchor: "signing-in", Title: "Signing in with Microsoft: Entra ID's numbers", Seen: "AADSTS", IsTable: true,
		About: "The number stands in the log and in `oauthproxy accounts`, with an ID by which Microsoft's support finds the case. Numbers that aren't here are explained at " +
			"https://login.microsoftonline.com/error?code=NUMBER. Microsoft changes them without notice."},
	{Section: remedy.Claims, Anchor: "tokens", Title: "Tokens that don't fit", Seen: "check says", IsTable: true,
		About: "Found by `oauthproxy check`, which looks into the token. Exchange itself answers such tokens as in [login-refused](#login-refused)."},
	{Section: remedy.LogIn, Anchor: "logins", Title: "Logins that Exchange refuses",
		About: "Over SMTP, then over IMAP and POP3. Mail programs hear a temporary refusal, so that they keep their saved passwords."},
	{Section: remedy.Sessions, Anchor: "sessions", Title: "Sessions that Exchange ends, and pauses", Seen: "Exchange says", IsTable: true,
		About: "In the log's `session ended early`, or with `refused`."},
	{Section: remedy.Messages, Anchor: "messages", Title: "Messages that Exchange refuses", Seen: "Exchange says",
		About: "Exchange's words reach the program or device unchanged, and stand as `verdict` in the log's line of the message. Some of these come as a mail instead, after Exchange has accepted the message."},
	{Section: remedy.Networks, Anchor: "network", Title: "Network and TLS", Seen: "In the log", IsTable: true,
		About: "On the way to Exchange or to Entra ID."},
	{Section: remedy.Here, Anchor: "here", Title: "On this machine", Seen: "In the log", IsTable: true,
		About: "Found by `oauthproxy check`, or at the start."},
}

// looks say where to look for what clients are told without the table.
var looks = []struct {
	kind proxy.Kind
	look string
}{
	{proxy.BadCredentials, "the login in the configuration: user, password_hash (`oauthproxy passwd`), networks, protocols"},
	{proxy.SignInRequired, "`oauthproxy login MAILBOX`; the cause is under [Signing in](#signing-in)"},
	{proxy.TokenUnavailable, "[Signing in](#signing-in), [Network and TLS](#network)"},
	{proxy.UpstreamRefused, "[login-refused](#login-refused)"},
	{proxy.UpstreamProtocol, "the log: what it said; the address in `upstream`"},
	{proxy.UpstreamUnreachable, "[Network and TLS](#network)"},
	{proxy.TLSRequired, "the mail program's settings: STARTTLS; [ports and TLS](tls.md)"},
	{proxy.TooManyAttempts, "the saved password in the program or device"},
	{proxy.Busy, "limits in the configuration"},
	{proxy.ShuttingDown, "nothing to do"},
	{proxy.Internal, "the log: a fault of this program"},
}

// TestTroubleshooting keeps docs/troubleshooting.md what the table says.
func TestTroubleshooting(t *testing.T) {
	text := troubleshooting(t)
	name := filepath.Join("..", "..", "docs", "troubleshooting.md")
	if *update {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, text) {
		t.Error("the page isn't what the table says: go test ./internal/remedy -run TestTroubleshooting -update")
	}
	for _, r := range remedy.All() {
		if n := bytes.Count(have, []byte(`<a id="`+r.ID+`"></a>`)); n != 1 {
			t.Errorf("%s stands %d times on the page", r.ID, n)
		}
	}
}

func troubleshooting(t *testing.T) []byte {
	t.Helper()
	p := page{Tells: tells()}
	for _, l := range looks {
		sentence := (&proxy.Failure{Kind: l.kind}).Sentence("")
		p.Kinds = append(p.Kinds, kind{strings.TrimSuffix(sentence, " (session )"), l.look})
	}
	for _, s := range sections {
		for _, r := range remedy.All() {
			if r.Section == s.Section {
				s.Remedies = append(s.Remedies, r.Fill(nil))
			}
		}
		if s.Section == remedy.LogIn {
			slices.SortStableFunc(s.Remedies, func(a, b remedy.Remedy) int { return cmp.Compare(order(a), order(b)) })
		}
		p.Sections = append(p.Sections, s)
	}
	layout, err := template.New("troubleshooting.md.tmpl").Funcs(template.FuncMap{
		"cell": cell, "sentence": sentence, "symptom": symptom, "title": title, "rest": rest, "step": step, "who": who,
	}).ParseFiles("testdata/troubleshooting.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := layout.Execute(&b, p); err != nil {
		t.Fatal(err)
	}
	return append(bytes.TrimSpace(b.Bytes()), '\n')
}

// order puts a protocol's own refusals before those that have no words.
func order(r remedy.Remedy) int {
	switch {
	case len(r.Reply) == 0:
		return 4
	case r.Protocol == "":
		return 1
	}
	return map[string]int{"smtp": 0, "imap": 2, "pop3": 3}[r.Protocol]
}

// tells collects what clients are told instead of Exchange's words.
func tells() []told {
	var all []told
	for _, r := range remedy.All() {
		if r.Tells == "" {
			continue
		}
		at := slices.IndexFunc(all, func(t told) bool { return t.Text == r.Tells })
		if at < 0 {
			all, at = append(all, told{Text: r.Tells}), len(all)
		}
		all[at].IDs = append(all[at].IDs, r.ID)
	}
	return all
}

// cell makes a text fit for a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func sentence(text string) string {
	runes := []rune(text)
	if !strings.HasPrefix(text, "oauthproxy ") {
		runes[0] = unicode.ToUpper(runes[0])
	}
	return string(runes) + "."
}

// symptom is what is seen: Exchange's or the system's words, Entra ID's
// numbers, or what check says.
func symptom(r remedy.Remedy) string {
	var seen []string
	for _, number := range r.AADSTS {
		seen = append(seen, strconv.Itoa(number))
	}
	if len(seen) > 0 {
		return strings.Join(seen, ", ")
	}
	for _, text := range r.Seen {
		seen = append(seen, "`"+text+"`")
	}
	return cmp.Or(strings.Join(seen, "<br>"), r.ID)
}

func title(r remedy.Remedy) string {
	if len(r.Seen) > 0 {
		return "`" + r.Seen[0] + "`"
	}
	return strings.TrimSuffix(sentence(r.Says), ".")
}

// rest is what else is seen.
func rest(r remedy.Remedy) string {
	var seen []string
	for _, text := range r.Seen[min(1, len(r.Seen)):] {
		seen = append(seen, "`"+text+"`")
	}
	return strings.Join(seen, " · ")
}

// step is a step of a fix; commands stand out.
func step(text string) string {
	if strings.HasPrefix(text, "oauthproxy ") || strings.HasPrefix(text, "chmod ") {
		return "`" + text + "`"
	}
	return text
}

// who names the one who can mend it.
func who(r remedy.Remedy) string {
	return map[remedy.Who]string{
		remedy.You: "You", remedy.Entra: "Administrator of Entra ID", remedy.Exchange: "Administrator of Exchange",
		remedy.Network: "Administrator of the network", remedy.Microsoft: "Nobody here",
	}[r.Who]
}
