package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// event is one that the log tells of, as docs/logs.md describes it.
type event struct {
	levels []string
	fields []string
}

var (
	eventRow  = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([a-z, ]+) \\| (.*?) \\|")
	fieldName = regexp.MustCompile("`([a-z_]+)`")
)

// loggedEvents reads the page.
func loggedEvents(t *testing.T) map[string]event {
	t.Helper()
	all := make(map[string]event)
	for _, m := range eventRow.FindAllStringSubmatch(read(t, "logs.md"), -1) {
		e := event{levels: strings.Split(m[2], ", ")}
		for _, f := range fieldName.FindAllStringSubmatch(m[3], -1) {
			e.fields = append(e.fields, f[1])
		}
		if _, twice := all[m[1]]; twice {
			t.Errorf("%q is there twice", m[1])
		}
		all[m[1]] = e
	}
	if len(all) < 20 {
		t.Fatalf("%d events are read from the page", len(all))
	}
	return all
}

// logCall is a call that writes a line.
type logCall struct {
	place, message string
	levels         []string
	fields         []string
}

// TestLogPage: the page has every line that the sources can write, with its
// level and its fields, and no other.
func TestLogPage(t *testing.T) {
	all := loggedEvents(t)
	written := make(map[string]bool)
	for _, c := range logCalls(t) {
		e, known := all[c.message]
		if !known {
			t.Errorf("%s: logs.md doesn't have %q", c.place, c.message)
			continue
		}
		written[c.message] = true
		for _, level := range c.levels {
			if !slices.Contains(e.levels, level) {
				t.Errorf("%s: logs.md has %q with the levels %v, not %s", c.place, c.message, e.levels, level)
			}
		}
		for _, field := range c.fields {
			if !slices.Contains(e.fields, field) {
				t.Errorf("%s: logs.md doesn't have the field %s of %q", c.place, field, c.message)
			}
		}
	}
	for message := range all {
		if !written[message] {
			t.Errorf("nothing writes %q", message)
		}
	}
}

// TestLogFields: each field has one meaning, which the page tells, and none is
// told of that no event has.
func TestLogFields(t *testing.T) {
	used := make(map[string]bool)
	for _, e := range loggedEvents(t) {
		for _, f := range e.fields {
			used[f] = true
		}
	}
	told := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^- ((?:`[a-z_]+`(?:, )?)+):").FindAllStringSubmatch(read(t, "logs.md"), -1) {
		for _, f := range fieldName.FindAllStringSubmatch(m[1], -1) {
			told[f[1]] = true
		}
	}
	for _, f := range slices.Sorted(maps.Keys(used)) {
		if !told[f] {
			t.Errorf("%s is not explained", f)
		}
	}
	for _, f := range slices.Sorted(maps.Keys(told)) {
		if !used[f] {
			t.Errorf("no event has the field %s", f)
		}
	}
}

// logCalls finds the calls in the sources of what runs as the service.
func logCalls(t *testing.T) []logCall {
	t.Helper()
	var all []logCall
	for _, folder := range []string{"accounts", "admin", "cmd", "doctor", "internal/certificate", "internal/safefile", "internal/wire", "proxy", "tokens"} {
		walk(t, filepath.Join(root, folder), ".go", func(name string) {
			if strings.HasSuffix(name, "_test.go") {
				return
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
					all = append(all, callsIn(t, files, f)...)
				}
			}
		})
	}
	return all
}

// levelsOf are the levels of a method that writes a line; Log's are told by its
// argument.
var levelsOf = map[string][]string{"Debug": {"debug"}, "Info": {"info"}, "Warn": {"warn"}, "Error": {"error"}, "Log": nil}

// callsIn finds those of one function. Fields that it collects in a slice count
// for each of its calls, unless they are written down beside another one.
func callsIn(t *testing.T, files *token.FileSet, f *ast.FuncDecl) []logCall {
	var (
		calls     []logCall
		collected []string
	)
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if isAnySlice(n) {
				collected = append(collected, keys(n.Elts)...)
			}
		case *ast.CallExpr:
			method, isMethod := n.Fun.(*ast.SelectorExpr)
			if !isMethod {
				if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "append" {
					collected = append(collected, keys(n.Args[1:])...)
				}
				return true
			}
			levels, writes := levelsOf[method.Sel.Name]
			if !isLog(method.X) {
				return true
			}
			if method.Sel.Name == "With" {
				collected = append(collected, keys(n.Args)...)
			}
			if !writes {
				return true
			}
			message := 0
			if method.Sel.Name == "Log" {
				message = 2
			}
			text, ok := literal(n.Args[message])
			if !ok {
				t.Errorf("%s: a message has to be written out, to be found", files.Position(n.Pos()))
				return true
			}
			calls = append(calls, logCall{files.Position(n.Pos()).String(), text, levels, keys(n.Args[message+1:])})
		}
		return true
	})
	for i := range calls {
		calls[i].fields = append(calls[i].fields, collected...)
	}
	return calls
}

// isLog tells whether an expression is a logger: by its name, or what comes of
// one.
func isLog(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "log"
	case *ast.SelectorExpr:
		return strings.EqualFold(x.Sel.Name, "log")
	case *ast.CallExpr:
		method, ok := x.Fun.(*ast.SelectorExpr)
		return ok && (isLog(method.X) || strings.HasSuffix(method.Sel.Name, "Log"))
	}
	return false
}

func isAnySlice(c *ast.CompositeLit) bool {
	array, ok := c.Type.(*ast.ArrayType)
	if !ok {
		return false
	}
	element, ok := array.Elt.(*ast.Ident)
	return ok && element.Name == "any"
}

// keys are the names among names and values.
func keys(args []ast.Expr) []string {
	var all []string
	for i := 0; i < len(args); i += 2 {
		if key, ok := literal(args[i]); ok && regexp.MustCompile(`^[a-z_]+$`).MatchString(key) {
			all = append(all, key)
		}
	}
	return all
}

func literal(x ast.Expr) (string, bool) {
	l, ok := x.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

// TestLogExamples: what the page shows is what the events are like.
func TestLogExamples(t *testing.T) {
	all := loggedEvents(t)
	form := regexp.MustCompile(`([a-z_]+)=("[^"]*"|\S*)`)
	n := 0
	for line := range strings.Lines(read(t, "logs.md")) {
		if !strings.Contains(line, " msg=") && !strings.HasPrefix(line, "level=") {
			continue
		}
		n++
		values := make(map[string]string)
		for _, m := range form.FindAllStringSubmatch(regexp.MustCompile(`"[^"]*"`).ReplaceAllStringFunc(line, func(quoted string) string {
			return strings.ReplaceAll(quoted, "=", "~") // inside a value there are no fields
		}), -1) {
			values[m[1]] = strings.Trim(m[2], `"`)
		}
		e, known := all[values["msg"]]
		if !known || !slices.Contains(e.levels, strings.ToLower(values["level"])) {
			t.Errorf("no such event: %s", line)
		}
		for name := range values {
			if !slices.Contains([]string{"time", "level", "msg"}, name) && !slices.Contains(e.fields, name) {
				t.Errorf("the event has no field %s: %s", name, line)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d examples are found", n)
	}
}
