package smtp

import (
	"net/mail"
	"strings"
	"testing"
)

func TestParsePath(t *testing.T) {
	tests := []struct {
		argument string
		want     string // as it goes upstream; "": refused
	}{
		{"FROM:<a@b.example>", "<a@b.example>"},
		{"from:<a@b.example>", "<a@b.example>"},
		{"FROM:<>", "<>"},
		{"FROM: <a@b.example>", "<a@b.example>"},
		{" \tFROM:<a@b.example>", "<a@b.example>"},
		{"FROM : <a@b.example>", "<a@b.example>"},
		{"FROM:\t< a@b.example >\t", "<a@b.example>"},
		{"FROM:<a@b.example> SIZE=10 BODY=8BITMIME", "<a@b.example> SIZE=10 BODY=8BITMIME"},
		{"FROM:<a@b.example>   AUTH=<>  ", "<a@b.example> AUTH=<>"},
		{"FROM:a@b.example", "<a@b.example>"},
		{"FROM: a@b.example SIZE=10", "<a@b.example> SIZE=10"},
		{"FROM:printer", "<printer>"},
		{"FROM:<printer>", "<printer>"},
		{"FROM:<jürgen@b.example> SMTPUTF8", "<jürgen@b.example> SMTPUTF8"},
		{`FROM:<"john doe"@b.example>`, `<"john doe"@b.example>`},
		{`FROM:"john doe"@b.example SIZE=1`, `<"john doe"@b.example> SIZE=1`},
		{`FROM:<"victim@evil> NOTIFY=NEVER ORCPT=rfc822;x"@b.c>`, `<"victim@evil> NOTIFY=NEVER ORCPT=rfc822;x"@b.c>`},
		{`FROM:<"a\">b"@b.c> X=1`, `<"a\">b"@b.c> X=1`},
		{`FROM:<"a\\">`, `<"a\\">`},
		{"FROM:<@relay.example:a@b.example>", "<@relay.example:a@b.example>"},
		{"FROM:", ""},
		{"FROM", ""},
		{"", ""},
		{"TO:<a@b.example>", ""},
		{"FROM <a@b.example>", ""},
		{"FROM:<a@b.example", ""},
		{"FROM:<a@b.example>SIZE=1", ""},
		{"FROM:<a@b.example>>", ""},
		{"FROM:a@b.example>", ""},
		{"FROM:a<b@c.example>", ""},
		{`FROM:<"a@b.example>`, ""},
		{`FROM:"a@b.example SIZE=1`, ""},
		{"FROM:<a\rb@c.example>", ""},
		{"FROM:<a@b.example> X=\x00", ""},
		{"FROM:<a@b.example> X=\x7f", ""},
		{"FROM:<a\tb@c.example>", ""},
	}
	for _, test := range tests {
		p, ok := parsePath(test.argument, "FROM")
		if got := p.String(); ok != (test.want != "") || ok && got != test.want {
			t.Errorf("parsePath(%q) = %q, %v; want %q", test.argument, got, ok, test.want)
		}
	}
}

func TestWithDomain(t *testing.T) {
	for address, want := range map[string]string{
		"":             "<>",
		"printer":      "<printer@c.example>",
		"a@b.example":  "<a@b.example>",
		`"two words"`:  `<"two words"@c.example>`,
		`"a@b"@x.test`: `<"a@b"@x.test>`,
	} {
		if got := (path{address: address}).withDomain("c.example").String(); got != want {
			t.Errorf("%q: %s, want %s", address, got, want)
		}
	}
}

// A path that is taken goes upstream as it came, but for the forms of devices;
// and a second reading finds the same in it.
func FuzzParsePath(f *testing.F) {
	f.Add("FROM:<a@b.example> SIZE=10")
	f.Add(`FROM:<"a\"> b"@c.example> X=<>`)
	f.Add(`FROM: "two words"@c.example`)
	f.Add("FROM:<a\"b> NOTIFY=NEVER\"@x>")
	f.Fuzz(func(t *testing.T, argument string) {
		p, ok := parsePath(argument, "FROM")
		if !ok {
			return
		}
		sent := p.String()
		if strings.ContainsFunc(sent, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("%q goes upstream as %q", argument, sent)
		}
		again, ok := parsePath("FROM:"+sent, "FROM")
		if !ok || again != p {
			t.Errorf("%q goes upstream as %q, which reads %+v, %v", argument, sent, again, ok)
		}
		// What isn't quoted ends at the first bracket, whoever reads it.
		if !strings.Contains(p.address, `"`) && strings.Contains(p.address, ">") {
			t.Errorf("%q: the address is %q", argument, p.address)
		}
		// A reader of RFC 5322 agrees on what is the address, if it is one
		// to it at all.
		if a, err := mail.ParseAddress("<" + p.address + ">"); err == nil && strings.Contains(a.Address, ">") && !strings.Contains(p.address, `"`) {
			t.Errorf("%q is read as %q", p.address, a.Address)
		}
	})
}
