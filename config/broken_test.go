package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what Load says into testdata/broken/*.expected")

// TestBroken loads every broken configuration and compares all that is said
// about it, so that each fails as it should and not by chance.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no broken configurations: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			folder := fixture(t)
			copyFile(t, file, filepath.Join(folder, "config.yaml"))
			_, err := Load(filepath.Join(folder, "config.yaml"), fakeCheck)
			var invalid *Invalid
			if !errors.As(err, &invalid) {
				t.Fatalf("Load returned %v, want an *Invalid", err)
			}
			got := strings.ReplaceAll(err.Error(), folder+string(filepath.Separator), "") + "\n"
			expected := "testdata/broken/" + name + ".expected"
			if *update {
				writeFile(t, expected, got)
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
			if strings.Contains(got, "hunter2") {
				t.Error("a message has the password in it")
			}
		})
	}
}
