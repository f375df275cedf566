package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"oauthproxy/internal/remedy"
)

// files looks at the permissions of files. What is well is told in one line.
func (e *examination) files(ctx context.Context) {
	told := make(map[string]bool) // folders, which many files share
	well := 0
	for _, f := range e.Files {
		if ctx.Err() != nil {
			return
		}
		problem, isOne := e.fileProblem(f)
		if isOne {
			e.probe("files", f.Name, "")(problem)
		} else {
			well++
		}
		for _, folder := range openFolders(f) {
			if !told[folder] {
				told[folder] = true
				e.probe("files", folder, "")(wrong(Warning, "everybody on this machine may write to the folder, and so replace "+f.What,
					remedy.Named("folder-writable-by-others"), map[string]string{"folder": folder, "file": f.Name}))
			}
		}
	}
	if well > 0 {
		e.probe("files", "files", "")(wellFiles(well, len(e.Files)))
	}
}

func wellFiles(well, all int) Finding {
	which, what := strconv.Itoa(well)+" ", "files and folders"
	if well == 1 {
		what = "file or folder"
	}
	switch {
	case well < all && well == 1:
		which = "the other "
	case well < all:
		which = "the other " + which
	}
	return Finding{Status: OK, Seen: which + what + " can be used, and no secret among them by others"}
}

// fileProblem returns what is wrong with a file, if anything is.
func (e *examination) fileProblem(f File) (problem Finding, isOne bool) {
	info, err := os.Stat(f.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.IsFolder:
		return unwritable(f, canWrite(existing(f.Name)))
	case errors.Is(err, fs.ErrNotExist) && e.isState(f.Name):
		return Finding{}, false // it is made when it is needed
	case errors.Is(err, fs.ErrNotExist):
		return wrong(Broken, f.What+" isn't there", remedy.Named("file-missing"), map[string]string{"file": f.Name}), true
	case err != nil:
		return unreadable(f, plainCause(err)), true
	case f.IsFolder && !info.IsDir():
		return unwritable(f, errors.New("it is not a folder"))
	case f.IsFolder:
		problem, isOne = unwritable(f, canWrite(f.Name))
	case !info.Mode().IsRegular():
		return unreadable(f, "it is not a file"), true
	default:
		if err := canRead(f.Name); err != nil {
			return unreadable(f, plainCause(err)), true
		}
	}
	if !isOne && f.IsSecret {
		return exposed(f, info)
	}
	return problem, isOne
}

// isState tells whether a file lies in a folder that the program writes to.
func (e *examination) isState(name string) bool {
	for _, f := range e.Files {
		if inside, err := filepath.Rel(f.Name, name); f.IsFolder && err == nil && filepath.IsLocal(inside) {
			return true
		}
	}
	return false
}

// exposed tells whether others may read or write a secret. The group may read
// what belongs to root, and write to root's folder: so a service gets at it, and
// somebody has chosen that group.
func exposed(f File, info fs.FileInfo) (problem Finding, isOne bool) {
	bits := info.Mode().Perm() & 0o077
	owner, group, known := ownerOf(info)
	if !known || isCredential(f.Name) {
		return Finding{}, false
	}
	switch {
	case owner == 0 && f.IsFolder:
		bits &^= 0o070
	case owner == 0:
		bits &^= 0o040
	}
	if bits == 0 {
		return Finding{}, false
	}
	problem = wrong(Warning, fmt.Sprintf("%s can be read or changed by others on this machine (its mode is %04o)", f.What, info.Mode().Perm()),
		remedy.Named("file-readable-by-others"), map[string]string{"file": f.Name})
	problem.Fix = []string{repair(f, owner, group)}
	return problem, true
}

// repair returns the command by which we alone can read a secret. It must not
// take it from us, where we read it by the rights of others.
func repair(f File, owner, group int) string {
	file, alone, withGroup := shellWord(f.Name), "600", "640"
	if f.IsFolder {
		alone, withGroup = "700", "750"
	}
	switch us := os.Geteuid(); {
	case owner == 0 && group != 0 && (us == 0 || isOurGroup(group)):
		return "chmod " + withGroup + " " + file
	case owner == us || us == 0:
		return "chmod " + alone + " " + file
	default:
		return fmt.Sprintf("chown %d %s && chmod %s %s", us, file, alone, file)
	}
}

func isOurGroup(group int) bool {
	groups, _ := os.Getgroups()
	for _, g := range append(groups, os.Getegid()) {
		if g == group {
			return true
		}
	}
	return false
}

// isCredential tells whether systemd has handed the file over, with rights of
// its own making.
func isCredential(name string) bool {
	folder := os.Getenv("CREDENTIALS_DIRECTORY")
	if folder == "" {
		return false
	}
	inside, err := filepath.Rel(folder, name)
	return err == nil && filepath.IsLocal(inside)
}

// openFolders returns the folders on the way to a file that everybody may write
// to; /tmp and its like, where nobody can replace what is another's, aren't
// among them.
func openFolders(f File) []string {
	var open []string
	for _, folder := range foldersAbove(f) {
		info, err := os.Stat(folder)
		if err != nil || !info.IsDir() {
			continue
		}
		if _, _, known := ownerOf(info); known && info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
			open = append(open, folder)
		}
	}
	return open
}

// foldersAbove returns the folders on the way to a file, by its name and by
// what links make of that.
func foldersAbove(f File) []string {
	names := []string{f.Name}
	if real, err := filepath.EvalSymlinks(f.Name); err == nil && real != f.Name {
		names = append(names, real)
	}
	var all []string
	for _, name := range names {
		if f.IsFolder && !f.IsSecret { // of a secret folder more is asked
			all = append(all, name)
		}
		for above := filepath.Dir(name); ; above = filepath.Dir(above) {
			all = append(all, above)
			if above == filepath.Dir(above) {
				break
			}
		}
	}
	return all
}

// existing returns the innermost folder above a name that exists.
func existing(name string) string {
	for {
		above := filepath.Dir(name)
		if _, err := os.Stat(above); err == nil || above == name {
			return above
		}
		name = above
	}
}

func canRead(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return f.Close()
}

func unreadable(f File, cause string) Finding {
	return wrong(Broken, f.What+" can't be read: "+cause, remedy.Named("file-unreadable"), map[string]string{"file": f.Name})
}

func unwritable(f File, err error) (problem Finding, isOne bool) {
	if err == nil {
		return Finding{}, false
	}
	return wrong(Broken, f.What+" can't be written to: "+plainCause(err), remedy.Named("folder-not-writable"),
		map[string]string{"folder": f.Name}), true
}

// plainCause returns what an error of the file system says besides the name.
func plainCause(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// shellWord returns a name as a shell takes it.
func shellWord(name string) string {
	if clean(name) != name {
		return "FILE" // a line with it couldn't be pasted
	}
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%,=", r)
	}
	if name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
