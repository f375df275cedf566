package imap

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"oauthproxy/internal/script/stage"
	"oauthproxy/internal/wire"
)

// parse returns a parser of a command that begins with text.
func parse(t testing.TB, text string) *parser {
	t.Helper()
	conn := wire.New(&stage.Peer{Says: []byte(text)})
	line, err := conn.ReadLine(maxLine)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return &parser{conn: conn, rest: line, proceed: func() {}}
}

func TestAstring(t *testing.T) {
	tests := []struct {
		text string
		want string
		rest string
		err  error
	}{
		{"alice", "alice", "", nil},
		{"  alice rest", "alice", "rest", nil},
		{`al"ice\ rest`, `al"ice\`, "rest", nil},
		{`"alice"`, "alice", "", nil},
		{`"a b" rest`, "a b", " rest", nil},
		{`""`, "", "", nil},
		{`"a\"\\b"`, `a"\b`, "", nil},
		{`"a\xb"`, "axb", "", nil}, // not allowed, and no reason to refuse
		{`"a{3}" b`, "a{3}", " b", nil},
		{"{5}\r\nalice", "alice", "", nil},
		{"{5+}\r\nalice rest", "alice", " rest", nil},
		{"{0}\r\n", "", "", nil},
		{"{0}\r\n rest", "", " rest", nil},
		{"{7}\r\na\r\nb\"\\c", "a\r\nb\"\\c", "", nil},
		{"{5} \r\nalice", "alice", "", nil},
		{"", "", "", errArguments},
		{"   ", "", "", errArguments},
		{`"alice`, "", "", errArguments},
		{`"alice\`, "", "", errArguments},
		{`"alice"x`, "", "", errArguments},
		{"\"a\x00\"", "", "", errArguments},
		{"a\x00", "", "", errArguments},
		{"{1}\r\n\x00", "", "", errArguments},
		{"{5}\r\nalicerest", "", "", errArguments},
		{"{5", "", "", errArguments},
		{"{}\r\n", "", "", errArguments},
		{"{+}\r\n", "", "", errArguments},
		{"{-5}\r\nalice", "", "", errArguments},
		{"{5}x\r\nalice", "", "", errArguments},
		{"{0x5}\r\nalice", "", "", errArguments},
		{"{4097}\r\n", "", "", errTooLarge},
		{"{4294967301}\r\nalice", "", "", errTooLarge},
		{"{99999999999999999999+}\r\nalice", "", "", errTooLarge},
		{"{1}\r\na" + strings.Repeat("x", 2*maxLine), "", "", errLine},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%.40q", test.text), func(t *testing.T) {
			p := parse(t, test.text+"\r\n")
			got, err := p.astring()
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("astring = %q, %v; want %q, %v", got, err, test.want, test.err)
			}
			if err == nil && string(p.rest) != test.rest {
				t.Errorf("rest = %q, want %q", p.rest, test.rest)
			}
		})
	}
}

func TestAstringCutOff(t *testing.T) {
	for _, text := range []string{"{5}\r\n", "{5}\r\nali", "{5}\r\nalice", "{5}\r\nalice rest"} {
		if got, err := parse(t, text).astring(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%q: astring = %q, %v", text, got, err)
		}
	}
}

// forms are the ways to write a string.
var forms = []func(string) string{
	func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	},
	func(s string) string { return fmt.Sprintf("{%d}\r\n%s", len(s), s) },
	func(s string) string { return fmt.Sprintf("{%d+}\r\n%s", len(s), s) },
	func(s string) string { return s },
}

// canBe tells whether a string can be written in a form.
func canBe(s string, form int) bool {
	switch form {
	case 0:
		return !strings.ContainsAny(s, "\x00\r\n")
	case 1, 2:
		return !strings.Contains(s, "\x00")
	}
	return s != "" && s[0] != '"' && s[0] != '{' && !strings.ContainsAny(s, "\x00\r\n ")
}

// User and password arrive as they are, in whatever forms they are written.
func FuzzLogin(f *testing.F) {
	f.Add("alice", "secret", byte(0))
	f.Add(`al"ice\`, "two words {3}", byte(5))
	f.Add("", "{3+}", byte(10))
	f.Add("jürgen", "Gr\xfc\xdfe", byte(15))
	f.Fuzz(func(t *testing.T, user, password string, form byte) {
		first, second := int(form%4), int(form/4%4)
		if !canBe(user, first) || !canBe(password, second) || len(user)+len(password) > maxLiteral/2 {
			t.Skip()
		}
		p := parse(t, forms[first](user)+" "+forms[second](password)+"\r\nNEXT\r\n")
		for _, want := range []string{user, password} {
			if got, err := p.astring(); err != nil || got != want {
				t.Fatalf("astring = %q, %v; want %q", got, err, want)
			}
		}
		if err := p.end(); err != nil {
			t.Errorf("end: %v, rest %q", err, p.rest)
		}
		if next, err := p.conn.ReadLine(maxLine); err != nil || string(next) != "NEXT" {
			t.Errorf("the next command is %q, %v", next, err)
		}
	})
}

// A refused command is passed over: its literals are never taken for commands.
func FuzzSkip(f *testing.F) {
	f.Add("LOGIN alice", []byte("a NOOP\r\nb LOGOUT"), uint16(14))
	f.Add("SELECT \"{3}\"", []byte("abc"), uint16(3))
	f.Fuzz(func(t *testing.T, head string, literal []byte, size uint16) {
		if strings.ContainsAny(head, "\r\n") || len(head) > 1000 {
			t.Skip()
		}
		literal = literal[:min(len(literal), int(size))]
		text := fmt.Sprintf("%s {%d+}\r\n%s\r\nNEXT\r\n", head, len(literal), literal)
		p := parse(t, text)
		if err := p.skip(); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if next, err := p.conn.ReadLine(maxLine); err != nil || string(next) != "NEXT" {
			t.Errorf("%q: the next command is %q, %v", text, next, err)
		}
	})
}

func TestAnnounced(t *testing.T) {
	tests := []struct {
		text      string
		size      int
		waits, ok bool
	}{
		{"{3}", 3, true, true},
		{"{3+}", 3, false, true},
		{"{003}  ", 3, true, true},
		{"{2147483647}", 1<<31 - 1, true, true},
		{"{2147483648}", 1<<31 - 1, true, true},
		{"{99999999999999999999999+}", 1<<31 - 1, false, true},
		{"{3", 0, false, false},
		{"3}", 0, false, false},
		{"{}", 0, false, false},
		{"{+}", 0, false, false},
		{"{3++}", 0, false, false},
		{"{3-}", 0, false, false},
		{"{-3}", 0, false, false},
		{"{ 3}", 0, false, false},
		{"", 0, false, false},
	}
	for _, test := range tests {
		size, waits, ok := announced([]byte(test.text))
		if size != test.size || waits != test.waits || ok != test.ok {
			t.Errorf("announced(%q) = %d, %v, %v", test.text, size, waits, ok)
		}
	}
}

func TestIsTag(t *testing.T) {
	for tag, want := range map[string]bool{
		"a1": true, "A142": true, ".": true, "tag-1_x": true, "a+b": true, "*a": true,
		"": false, "*": false, "+": false, "a b": false, "a\x7f": false, "ä": false,
		"{1}": false, "(a": false, `"a"`: false, `a\`: false,
		strings.Repeat("x", 64): true, strings.Repeat("x", 65): false,
	} {
		if got := isTag(tag); got != want {
			t.Errorf("isTag(%q) = %v", tag, got)
		}
	}
}

// No command is both: legal before the login, and after it alone.
func TestCommandTables(t *testing.T) {
	for name := range commands {
		if later[name] {
			t.Errorf("%s is in both tables", name)
		}
	}
	if !bytes.Equal([]byte(passedOn("IMAP4rev1 auth=XOAUTH2 LoginDisabled STARTTLS IDLE SASL-IR")), []byte("IMAP4rev1 IDLE SASL-IR")) {
		t.Error("passedOn is wrong")
	}
}
