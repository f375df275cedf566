package registration

import (
	"strings"
	"testing"
)

// TestScriptsAreClosed: every quotation mark and every bracket that is opened
// is closed again. (No PowerShell parses the scripts here.)
func TestScriptsAreClosed(t *testing.T) {
	for name, p := range plans {
		for _, s := range p.Scripts() {
			if rest := unclosed(s.Text); rest != "" {
				t.Errorf("%s, %s: %s", name, s.Name, rest)
			}
		}
		for _, line := range p.Commands() {
			if rest := unclosed(line); rest != "" {
				t.Errorf("%s: %q: %s", name, line, rest)
			}
		}
	}
}

func TestUnclosed(t *testing.T) {
	for _, wrong := range []string{"'", "''' x", `"$(a)`, "@{ a = (1 }", "x'y\u2019\u2019", "}", `"$('a)"`} {
		if unclosed(wrong) == "" {
			t.Errorf("%q passes", wrong)
		}
	}
	for _, right := range []string{"", "'a''b' # '", `"$(if ($a) { "b" })"`, "'\u2019\u2019'", `"it's"`, `'say "x'`} {
		if rest := unclosed(right); rest != "" {
			t.Errorf("%q: %q", right, rest)
		}
	}
}

// unclosed tells what of a script isn't closed, after PowerShell's rules for
// quoting: typographic quotation marks count, a doubled one stands for itself,
// and between double ones $( ) holds code.
func unclosed(script string) string {
	closes := map[rune]rune{'(': ')', '{': '}', '[': ']', '"': '"', '\'': '\''}
	text := []rune(script)
	var open []rune // what closes each, innermost last
	for i := 0; i < len(text); i++ {
		c, inner := plainQuote(text[i]), ' '
		if len(open) > 0 {
			inner = open[len(open)-1]
		}
		next := ' '
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch {
		case inner == '"' && c == '$' && next == '(':
			open = append(open, ')')
			i++
		case inner == '\'' || inner == '"':
			if c == inner && plainQuote(next) == inner {
				i++
			} else if c == inner {
				open = open[:len(open)-1]
			}
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case closes[c] != 0:
			open = append(open, closes[c])
		case strings.ContainsRune(")}]", c) && inner != c:
			return "a bracket too many: " + string(text[i:min(i+20, len(text))])
		case strings.ContainsRune(")}]", c):
			open = open[:len(open)-1]
		}
	}
	return string(open)
}

func plainQuote(c rune) rune {
	if strings.ContainsRune("\u2018\u2019\u201a\u201b", c) {
		return '\''
	}
	return c
}
