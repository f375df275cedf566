package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// This file alone knows YAML. It turns a file into values that keep their
// lines; what they mean is the business of the rest of the package.

type kind int

const (
	nothing kind = iota // a key without a value, or none that can be used
	text                // every scalar: 10, true and "10" alike, as written
	list
	mapping
)

// value is a value of the file.
type value struct {
	kind   kind
	line   int
	text   string
	items  []*value // of a list
	fields []field  // of a mapping, in the order of the file, no key twice
}

// field is a key of a mapping with its value.
type field struct {
	key   string
	line  int
	value *value
}

// Bounds for a file that multiplies itself with aliases: each time they are
// used they count as values of their own.
const (
	maxValues = 1 << 18
	maxDepth  = 32
)

// parse returns the mapping that is the file, nil when there is none.
func (r *reader) parse(data []byte) *value {
	if line := badText(data); line > 0 {
		r.report(line, "", "save the file as plain text in UTF-8", "this line is not UTF-8 text")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return r.notAMapping(&value{})
	case err != nil:
		r.syntaxError(err, data)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		r.report(second.Line, "", "keep one document in the file: remove the line --- and what doesn't belong to it", "a second document begins here")
	case !errors.Is(err, io.EOF):
		r.syntaxError(err, data)
		return nil
	}
	c := converter{reader: r}
	root := c.convert(document.Content[0], "")
	if c.endless {
		r.report(0, "", "write values out instead of repeating them with *aliases",
			"the file has more than %d values, or they are nested more than %d deep", maxValues, maxDepth)
		return nil
	}
	if root.kind != mapping {
		return r.notAMapping(root)
	}
	root.line = 0 // what is missing on the outermost level is missing on no line
	return root
}

// notAMapping reports a file that isn't a mapping at its outermost.
func (r *reader) notAMapping(root *value) *value {
	const hint = "start from config.example.yaml"
	if root.kind == nothing {
		r.report(0, "", hint, "the file is empty")
	} else {
		r.report(root.line, "", hint, "expected keys such as apps:, listeners: and accounts:")
	}
	return nil
}

// badText returns the first line that holds something else than UTF-8 text,
// 0 when there is none.
func badText(data []byte) int {
	for i, line := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(line) || bytes.ContainsFunc(line, isControl) {
			return i + 1
		}
	}
	return 0
}

// isControl tells whether c is a control character that has no business in
// a line of text.
func isControl(c rune) bool { return c != '\t' && c != '\r' && unicode.IsControl(c) }

// converter turns the nodes of yaml.v3 into values. It reports what no mapping
// may have; path is the way to a node, for these messages.
type converter struct {
	reader  *reader
	values  int
	depth   int
	endless bool // more than the bounds allow
}

func (c *converter) convert(n *yaml.Node, path string) *value {
	v := &value{line: n.Line}
	c.values++
	c.depth++
	defer func() { c.depth-- }()
	if c.values > maxValues || c.depth > maxDepth {
		c.endless = true
		return v
	}
	switch n.Kind {
	case yaml.AliasNode:
		return c.convert(n.Alias, path)
	case yaml.SequenceNode:
		v.kind = list
		for i, item := range n.Content {
			v.items = append(v.items, c.convert(item, index(path, i)))
		}
	case yaml.MappingNode:
		v.kind = mapping
		v.fields = c.fields(n, path)
	default:
		if n.ShortTag() != "!!null" {
			v.kind, v.text = text, n.Value
		}
	}
	return v
}

// fields converts the pairs of a mapping. What is no key, or a key that occurs
// a second time, is reported and left out.
func (c *converter) fields(n *yaml.Node, path string) []field {
	var fields []field
	lines := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || strings.ContainsFunc(key.Value, unicode.IsControl) {
			c.reader.report(key.Line, path, "", "a key must be a plain word")
			continue
		}
		if first, ok := lines[key.Value]; ok {
			c.reader.report(key.Line, join(path, key.Value), "", "the key occurs twice; the first is on line %d", first)
			continue
		}
		lines[key.Value] = key.Line
		v := c.convert(n.Content[i+1], join(path, key.Value))
		if v.kind != text {
			v.line = key.Line // what is missing inside is missed where it was named
		}
		fields = append(fields, field{key.Value, key.Line, v})
	}
	return fields
}

// join returns the way to a key of the mapping at path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// index returns the way to item i of the list at path.
func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// syntaxHints answer what most likely was meant where YAML can't be read.
var syntaxHints = []struct{ message, hint string }{
	{"cannot start any token", "indent with blanks, not with tabs; put quotes around a value that begins with @, ` or %"},
	{"tab character", "indent with blanks, not with tabs"},
	{"mapping values are not allowed", "check the indentation; put quotes around a value that has a colon and a blank in it"},
	{"did not find expected key", "check the indentation and the quotes from this line on"},
	{"did not find expected '-' indicator", "from this line on, begin all items of the list in the same column"},
	{"could not find expected ':'", "put a colon and a blank between a key and its value"},
	{"did not find expected ',' or", "from this line on, check that every [ and { is closed and that commas stand between values"},
	{"begins with *", "put quotes around a value that begins with *"},
	{"found unexpected end of stream", "check that every quote is closed"},
}

var syntaxLine = regexp.MustCompile(`^line (\d+): `)

// syntaxError reports what yaml.v3 says about a file it can't read.
func (r *reader) syntaxError(err error, data []byte) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := syntaxLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = strings.TrimPrefix(message, m[0])
	}
	if strings.HasPrefix(message, "did not find expected") {
		// yaml.v3 v3.0.1 counts from 0 here, and from 1 elsewhere.
		line = min(line+1, 1+bytes.Count(bytes.TrimRight(data, "\n"), []byte("\n")))
	}
	if name, ok := strings.CutPrefix(message, "unknown anchor '"); ok {
		// It comes without a line, and the name may be a secret.
		before, _, _ := bytes.Cut(data, []byte("*"+strings.TrimSuffix(name, "' referenced")))
		line = 1 + bytes.Count(before, []byte("\n"))
		message = "a value begins with *, which repeats another value, but there is none of that name"
	}
	hint := ""
	for _, h := range syntaxHints {
		if strings.Contains(message, h.message) {
			hint = h.hint
		}
	}
	r.report(line, "", hint, "this is not YAML: %s", message)
}
