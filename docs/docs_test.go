// Package docs checks that what the pages refer to is there.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

const root = ".."

var (
	word = regexp.MustCompile(`\w+`)
	link = regexp.MustCompile(`\]\(([^)#:]+)\)`)
	// path is a file or folder of the repository, as the pages write it.
	path = regexp.MustCompile("`((?:accounts|cmd|config|docs|internal|proxy|systemd|tokens)/[a-z0-9_/.-]*)`")
	// identifier is a name in the code with a capital inside, as the pages
	// write it: `openTimeout`, `wire.Conn.AcceptTLS`.
	identifier = regexp.MustCompile("`(?:[a-z]+\\.)?(?:[A-Z][A-Za-z]*\\.)?([A-Za-z]*[a-z][A-Z][A-Za-z0-9]*)`")
)

func TestPagesReferToWhatIsThere(t *testing.T) {
	words := source(t)
	for _, page := range pages(t) {
		t.Run(page, func(t *testing.T) {
			text := read(t, filepath.Join(root, page))
			for _, m := range link.FindAllStringSubmatch(text, -1) {
				exists(t, filepath.Join(root, filepath.Dir(page), m[1]))
			}
			for _, m := range path.FindAllStringSubmatch(text, -1) {
				exists(t, filepath.Join(root, m[1]))
			}
			for _, m := range identifier.FindAllStringSubmatch(text, -1) {
				if !words[m[1]] {
					t.Errorf("%s is not in the code", m[1])
				}
			}
		})
	}
}

func exists(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}

// pages lists all pages, from the root.
func pages(t *testing.T) []string {
	found := []string{"README.md", "CHANGELOG.md"}
	walk(t, ".", ".md", func(name string) { found = append(found, filepath.Join("docs", name)) })
	return found
}

// source returns all words of the Go source.
func source(t *testing.T) map[string]bool {
	words := make(map[string]bool)
	walk(t, root, ".go", func(name string) {
		for _, w := range word.FindAllString(read(t, name), -1) {
			words[w] = true
		}
	})
	return words
}

// walk visits all files with the extension in a folder and below.
func walk(t *testing.T, folder, extension string, visit func(name string)) {
	t.Helper()
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(name) == extension {
			visit(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
