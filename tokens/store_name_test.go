package tokens

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestEscapeName(t *testing.T) {
	tests := map[string]string{
		"alice@contoso.com":     "alice@contoso.com",
		"Alice@contoso.com":     "%41lice@contoso.com",
		"a.b-c_d+e0@x":          "a.b-c_d+e0@x",
		"..":                    ".%2E",
		"../../etc/passwd":      "..%2F..%2Fetc%2Fpasswd",
		`..\windows`:            "..%5Cwindows",
		"/etc/passwd":           "%2Fetc%2Fpasswd",
		"a\x00b":                "a%00b",
		"a:b*c?d\"e<f>g|h":      "a%3Ab%2Ac%3Fd%22e%3Cf%3Eg%7Ch",
		"dot.":                  "dot%2E",
		"space ":                "space%20",
		"100%":                  "100%25",
		"%41lice":               "%2541lice",
		"j\u00f6rg@x":           "j%C3%B6rg@x",
		"\xff":                  "%FF",
		"nul":                   "nul", // behind "account-" no device of Windows
		"a~b=c,d;e":             "a%7Eb%3Dc%2Cd%3Be",
		strings.Repeat("a", 50): strings.Repeat("a", 50),
	}
	for account, want := range tests {
		got := escapeName(account)
		if got != want {
			t.Errorf("%q is escaped as %q, want %q", account, got, want)
		}
		if back, ok := accountName(got); !ok || back != account {
			t.Errorf("%q comes back as %q, %v", account, back, ok)
		}
		s := &Store{folder: "folder"}
		if file := s.file(sealedPrefix, account); filepath.Dir(file) != "folder" || !filepath.IsLocal(file) {
			t.Errorf("%q leads to %s", account, file)
		}
	}
}

func TestAccountNameRefuses(t *testing.T) {
	for _, name := range []string{"", "Alice", "%61lice", "%2f", "%", "%4", "%zz", "a/b", "dot.", "a b", "\u00f6"} {
		if account, ok := accountName(name); ok {
			t.Errorf("%q is the file of %q", name, account)
		}
	}
}

// Names that a file system may take for one another lead to files of their own.
func TestNamesDontCollide(t *testing.T) {
	accounts := []string{"a@x", "A@x", "a@X", "A@X", "%41@x", "a@x.", "a@x ", "\u00e4@x", "a\u0308@x", "\u00c4@x", "a/x", `a\x`}
	files := map[string]string{}
	for _, account := range accounts {
		name := strings.ToLower(strings.TrimRight(escapeName(account), ". "))
		if other, taken := files[name]; taken {
			t.Errorf("%q and %q share the file %s", account, other, name)
		}
		files[name] = account
	}
}

func FuzzEscapeName(f *testing.F) {
	f.Add("alice@contoso.com", "Alice@contoso.com")
	f.Add("..", "%2E%2e")
	f.Fuzz(func(t *testing.T, one, two string) {
		name := escapeName(one)
		if back, ok := accountName(name); one != "" && (!ok || back != one) {
			t.Errorf("%q comes back as %q", one, back)
		}
		if one != two && strings.EqualFold(name, escapeName(two)) {
			t.Errorf("%q and %q collide", one, two)
		}
		if filepath.Base("account-"+name) != "account-"+name {
			t.Errorf("%q leaves the folder", one)
		}
	})
}
