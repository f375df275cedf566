// Package house holds the project to its layout: who may import whom, and what
// every protocol has. It reads the tree, not a list of it.
package house

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "oauthproxy"

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath, Dir, Doc string
	GoFiles, Imports     []string
	TestGoFiles          []string
	XTestGoFiles         []string
	TestImports          []string
	XTestImports         []string
}

// packages lists all packages of the module.
func packages(t *testing.T) []pkg {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Doc,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", module+"/...")
	list.Stderr = os.Stderr
	out, err := list.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := list.Start(); err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for decoder := json.NewDecoder(out); ; {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := list.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("go list knows %d packages only", len(all))
	}
	return all
}

// mayImport says which packages of the module a package may import. The
// longest prefix of a path counts; what isn't listed may import nothing.
var mayImport = map[string][]string{
	"cmd/oauthproxy":    {"accounts", "admin", "config", "doctor", "internal/certificate", "internal/registration", "internal/remedy", "internal/safefile", "internal/sandbox", "internal/wire", "proxy", "proxy/imap", "proxy/pop3", "proxy/smtp", "tokens"},
	"config":            {"internal/wire"},
	"accounts":          {"internal/wire"},
	"admin":             {"doctor", "internal/wire", "proxy", "proxy/smtp", "tokens"},
	"tokens":            {"internal/remedy", "internal/safefile", "internal/wire"},
	"internal/safefile": {},
	// What can go wrong and what to do: one table for all who tell people.
	"internal/remedy": {},
	"doctor":          {"internal/remedy", "internal/sasl", "internal/wire"},
	// What administrators do at Microsoft, as text: it knows no terminal.
	"internal/registration": {"internal/remedy"},
	// Certificates of listeners: of clients and Microsoft it knows nothing.
	"internal/certificate": {"internal/safefile"},
	"proxy":                {"accounts", "internal/remedy", "internal/sasl", "internal/wire"},
	"proxy/imap":           {"internal/remedy", "proxy", "internal/sasl", "internal/wire"},
	"proxy/pop3":           {"internal/remedy", "proxy", "internal/sasl", "internal/wire"},
	"proxy/smtp":           {"internal/remedy", "proxy", "internal/sasl", "internal/wire"},
	"internal/sasl":        {"internal/wire"},
	"internal/wire":        {},
	"internal/sandbox":     {},
	"internal/script":      {},
	// The stage on which transcripts are played is a helper of tests alone.
	"internal/script/stage": {"accounts", "internal/script", "internal/wire", "proxy"},
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		if len(p.GoFiles) == 0 {
			continue // tests alone
		}
		allowed, known := mayImport[path]
		if !known && !strings.HasPrefix(path, "docs/") && !strings.HasPrefix(path, "test/") {
			t.Errorf("%s: a new room: say in mayImport what it may import", path)
		}
		for _, imported := range p.Imports {
			inner, ours := strings.CutPrefix(imported, module+"/")
			if ours && known && !slices.Contains(allowed, inner) {
				t.Errorf("%s imports %s", path, inner)
			}
		}
	}
}

// TestHelpersStayInTests: nothing that is shipped is built from what tests
// are, and only cmd and tests know the configuration.
func TestHelpersStayInTests(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, imported := range p.Imports {
			switch {
			case strings.HasPrefix(imported, module+"/internal/script") && !strings.HasPrefix(path, "internal/script"),
				imported == module+"/config" && path != "cmd/oauthproxy",
				imported == "testing" && !strings.HasPrefix(path, "internal/script") && !strings.HasPrefix(path, "docs/"):
				t.Errorf("%s imports %s outside its tests", path, imported)
			}
		}
	}
}

// TestSandboxSharesNothing: a mistake that the stand-in and the proxy shared
// would agree with itself. That holds for its tests too.
func TestSandboxSharesNothing(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"/internal/sandbox" {
			continue
		}
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if strings.HasPrefix(imported, module+"/") && imported != p.ImportPath {
				t.Errorf("the sandbox imports %s", imported)
			}
		}
	}
}

// TestSameRooms: know one protocol, know three.
func TestSameRooms(t *testing.T) {
	for _, p := range packages(t) {
		switch strings.TrimPrefix(p.ImportPath, module+"/") {
		case "proxy/imap", "proxy/pop3", "proxy/smtp":
			for _, room := range []string{"dialogue.go", "commands.go", "upstream.go", "reply.go"} {
				if !slices.Contains(p.GoFiles, room) {
					t.Errorf("%s has no %s", p.ImportPath, room)
				}
			}
		}
	}
}

// TestPrometheusInAdmin: what serves mail counts, and doesn't know for whom.
func TestPrometheusInAdmin(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "github.com/prometheus/") && p.ImportPath != module+"/admin" {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

// TestYAMLInTwoFiles: the library is archived; whoever replaces it has two files
// to change.
func TestYAMLInTwoFiles(t *testing.T) {
	var files []string
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), `"gopkg.in/yaml.v3"`) {
				files = append(files, p.ImportPath+"/"+name)
			}
		}
	}
	if want := []string{module + "/config/yaml.go", module + "/internal/remedy/table.go"}; !slices.Equal(files, want) {
		t.Errorf("yaml.v3 is used in %v, want %v", files, want)
	}
}

// TestRoomsStaySmall: a file has one subject, and each package says what it is.
func TestRoomsStaySmall(t *testing.T) {
	const most = 450
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if lines := strings.Count(string(text), "\n"); lines > most {
				t.Errorf("%s/%s has %d lines, more than %d", p.ImportPath, name, lines, most)
			}
		}
	}
}
