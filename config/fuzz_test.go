package config

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad: whatever a file holds, it is loaded or refused with reasons, and
// nothing panics.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "../config.example.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(smallest))
	folder := fixture(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &reader{file: "config.yaml", folder: folder, checkHash: fakeCheck}
		c, err := decode(data, r)
		if (c == nil) == (err == nil) {
			t.Fatalf("decode returned %v and %v", c, err)
		}
		if err != nil && err.Error() == "" {
			t.Fatal("refused without a reason")
		}
	})
}
