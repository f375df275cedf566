package remedy

import (
	"bytes"
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

//go:embed remedies.yaml
var file []byte

// index is the table with its ways in.
type index struct {
	all      []Remedy
	byID     map[string]*Remedy
	byAADSTS map[int]*Remedy
	variants map[variant]*Remedy
}

// table is the file, read when it is first needed: most runs never do.
var table = sync.OnceValue(func() *index {
	t, err := read(file)
	if err != nil {
		panic("remedies.yaml: " + err.Error()) // a part of the program; a test reads it
	}
	return t
})

// read reads a table, strictly: what is unknown, or stands there twice, is an
// error.
func read(text []byte) (*index, error) {
	t := &index{byID: make(map[string]*Remedy), byAADSTS: make(map[int]*Remedy), variants: make(map[variant]*Remedy)}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&t.all); err != nil {
		return nil, err
	}
	for i := range t.all {
		r := &t.all[i]
		if t.byID[r.ID] != nil || r.ID == "" {
			return nil, fmt.Errorf("the id %q is empty or stands there twice", r.ID)
		}
		t.byID[r.ID] = r
		for _, id := range r.Replaces {
			t.variants[variant{id, r.Case}] = r
		}
		for _, number := range r.AADSTS {
			if t.byAADSTS[number] != nil {
				return nil, fmt.Errorf("AADSTS%d stands there twice", number)
			}
			t.byAADSTS[number] = r
			r.Section = SignIn
		}
	}
	return t, nil
}

// maxReply bounds what is looked at of a reply: what tells the cause stands at
// its beginning, and diagnostics follow.
const maxReply = 8 << 10

// The lines of one SMTP reply are joined by " / " or as they came; each begins
// with the code, which a hyphen follows where more lines do.
var (
	continuation = regexp.MustCompile(`(?: / |\r?\n)[2-5][0-9][0-9][- ](?:[245]\.[0-9]+\.[0-9]+ )?`)
	continued    = regexp.MustCompile(`^([2-5][0-9][0-9])-`)
)

// comparable returns a reply as pieces are looked for in it.
func comparable(text string) string {
	text = strings.ToLower(text[:min(len(text), maxReply)])
	return continued.ReplaceAllString(continuation.ReplaceAllString(text, " "), "$1 ")
}

// holds tells whether text has the piece in it, and not as a part of a longer
// number: 5.7.3 isn't in 5.7.30, nor in 15.7.3.
func holds(text, piece string) bool {
	for from := 0; ; {
		at := strings.Index(text[from:], piece)
		if at < 0 {
			return false
		}
		begin, end := from+at, from+at+len(piece)
		if !isNumber(text[:begin], piece[:1]) && !isNumber(piece[len(piece)-1:], text[end:min(end+1, len(text))]) {
			return true
		}
		from = begin + 1
	}
}

// isNumber tells whether a digit of after goes on with a number that before
// ends with.
func isNumber(before, after string) bool {
	return before != "" && after != "" && isDigit(after[0]) && (isDigit(before[len(before)-1]) || strings.HasSuffix(before, "."))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
