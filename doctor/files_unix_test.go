//go:build unix

package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// place is a folder for files of a test.
type place struct {
	t      *testing.T
	folder string
}

func (p place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p place) path(name string) string { return filepath.Join(p.folder, name) }

// file makes a file with its folders.
func (p place) file(name string, mode os.FileMode) string {
	p.t.Helper()
	p.must(os.MkdirAll(filepath.Dir(p.path(name)), 0o755))
	p.must(os.WriteFile(p.path(name), []byte("x"), 0o600))
	p.must(os.Chmod(p.path(name), mode))
	return p.path(name)
}

func (p place) dir(name string, mode os.FileMode) string {
	p.t.Helper()
	p.must(os.MkdirAll(p.path(name), 0o755))
	p.must(os.Chmod(p.path(name), mode))
	p.t.Cleanup(func() { _ = os.Chmod(p.path(name), 0o700) })
	return p.path(name)
}

func (p place) link(to, name string) string {
	p.t.Helper()
	p.must(os.Symlink(to, p.path(name)))
	return p.path(name)
}

func secret(name string) []File {
	return []File{{Name: name, What: "the client secret", IsSecret: true}}
}

func plain(name string) []File {
	return []File{{Name: name, What: "the configuration"}}
}

func state(name string) []File {
	return []File{{Name: name, What: "the state folder", IsFolder: true, IsSecret: true}}
}

var wellKept = want{status: OK, seen: "no secret among them by others"}

// fileCases make files and say what is found first.
var fileCases = map[string]struct {
	make func(p place) []File
	want want
}{
	"secret of ours alone": {func(p place) []File { return secret(p.file("s", 0o600)) }, wellKept},
	"secret for all to read": {func(p place) []File { return secret(p.file("s", 0o644)) },
		want{Warning, "file-readable-by-others", "its mode is 0644", "chmod 600 /"}},
	"secret for all to write": {func(p place) []File { return secret(p.file("s", 0o602)) },
		want{Warning, "file-readable-by-others", "its mode is 0602", "chmod 600 /"}},
	"name with a quote": {func(p place) []File { return secret(p.file("o'brien s", 0o644)) },
		want{Warning, "file-readable-by-others", "", `/o'\''brien s'`}},
	"no secret, for all to read": {func(p place) []File { return plain(p.file("c", 0o644)) }, wellKept},
	"not there": {func(p place) []File { return plain(p.path("c")) },
		want{Broken, "file-missing", "the configuration isn't there", ""}},
	"state that is made later": {func(p place) []File {
		return append(state(p.dir("state", 0o700)), secret(p.path("state/store.key"))...)
	}, wellKept},
	"state folder that is made later": {func(p place) []File { return state(p.path("a/b/state")) }, wellKept},
	"folder in place of a file": {func(p place) []File { return plain(p.dir("c", 0o755)) },
		want{Broken, "file-unreadable", "it is not a file", ""}},
	"pipe in place of a file": {func(p place) []File {
		p.must(syscall.Mkfifo(p.path("c"), 0o600))
		return secret(p.path("c"))
	}, want{Broken, "file-unreadable", "it is not a file", ""}},
	"file in place of a folder": {func(p place) []File { return state(p.file("state", 0o600)) },
		want{Broken, "folder-not-writable", "it is not a folder", ""}},
	"state folder for all to read": {func(p place) []File { return state(p.dir("state", 0o755)) },
		want{Warning, "file-readable-by-others", "its mode is 0755", "chmod 700 /"}},
	"folder that all may write to": {func(p place) []File {
		p.dir("open", 0o777)
		return secret(p.file("open/inner/s", 0o600))
	}, want{Warning, "folder-writable-by-others", "replace the client secret", "chmod go-w /"}},
	"folder like /tmp": {func(p place) []File {
		name := p.file("open/s", 0o600)
		p.dir("open", 0o777|os.ModeSticky)
		return secret(name)
	}, wellKept},
	"links of Kubernetes": {func(p place) []File {
		p.file("..2026/s", 0o400)
		p.link("..2026", "..data")
		return secret(p.link("..data/s", "s"))
	}, wellKept},
	"link into a folder that all may write to": {func(p place) []File {
		name := p.file("open/s", 0o600)
		p.dir("open", 0o777)
		return secret(p.link(name, "s"))
	}, want{Warning, "folder-writable-by-others", "", "/open"}},
	"link to nowhere": {func(p place) []File { return secret(p.link("nowhere", "s")) },
		want{Broken, "file-missing", "", ""}},
	"credential of systemd": {func(p place) []File {
		p.t.Setenv("CREDENTIALS_DIRECTORY", p.folder)
		return secret(p.file("devices.secret", 0o440))
	}, wellKept},
}

func TestFiles(t *testing.T) {
	for name, c := range fileCases {
		t.Run(name, func(t *testing.T) {
			files := c.make(place{t, t.TempDir()})
			found := run(t, Plan{Files: files})
			c.want.check(t, found[0])
		})
	}
}

// Root may read and write everything: what others may not is tested as one of
// them.
func TestFilesOutOfReach(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	p := place{t, t.TempDir()}
	for _, c := range []struct {
		files []File
		want  want
	}{
		{secret(p.file("s", 0)), want{Broken, "file-unreadable", "permission denied", ""}},
		{secret(p.file("group", 0o640)), want{Warning, "file-readable-by-others", "0640", "chmod 600 /"}},
		{state(p.dir("state", 0o500)), want{Broken, "folder-not-writable", "permission denied", ""}},
		{state(filepath.Join(p.dir("above", 0o500), "state")), want{Broken, "folder-not-writable", "permission denied", ""}},
		{secret(filepath.Join(p.dir("closed", 0), "s")), want{Broken, "file-unreadable", "permission denied", ""}},
	} {
		c.want.check(t, run(t, Plan{Files: c.files})[0])
	}
}

// A service reads what belongs to root by its group; that is no fault. What
// belongs to another it has to be given.
func TestFilesOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	p := place{t, t.TempDir()}
	wellKept.check(t, run(t, Plan{Files: secret(p.file("s", 0o640))})[0])
	const nobody = 65534
	for name, c := range map[string]struct {
		owner, group int
		want         want
	}{
		"root's and a group's": {0, nobody, want{Warning, "file-readable-by-others", "0644", "chmod 640 /"}},
		"root's":               {0, 0, want{Warning, "file-readable-by-others", "0644", "chmod 600 /"}},
		"another's":            {nobody, nobody, want{Warning, "file-readable-by-others", "0644", "chmod 600 /"}},
	} {
		file := p.file(name, 0o644)
		p.must(os.Chown(file, c.owner, c.group))
		f := run(t, Plan{Files: secret(file)})[0]
		f.Fix = []string{strings.ReplaceAll(f.Fix[0], "'", "")}
		if !strings.HasPrefix(f.Fix[0], c.want.fix) {
			t.Errorf("%s: %q", name, f.Fix[0])
		}
	}
}

// Forty good files make one line, and bad ones don't hide them.
func TestFilesTogether(t *testing.T) {
	p := place{t, t.TempDir()}
	files := state(p.dir("state", 0o700))
	for range 39 {
		files = append(files, secret(p.file("s", 0o600))...)
	}
	found := run(t, Plan{Files: files})
	want{status: OK, seen: "40 files and folders"}.check(t, found.only(t, "files"))
	found = run(t, Plan{Files: append(files, plain(p.path("missing"))...)})
	if len(found) != 2 || found[0].Status != Broken || !strings.Contains(found[1].Seen, "the other 40 files") {
		t.Errorf("%+v", found)
	}
	left, err := os.ReadDir(p.path("state"))
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v behind, %v", left, err)
	}
}
