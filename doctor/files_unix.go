//go:build unix

package doctor

import (
	"io/fs"
	"syscall"
)

// ownerOf returns the numbers of a file's owner and group.
func ownerOf(info fs.FileInfo) (owner, group int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}

// canWrite tells whether files can be made in a folder, without making one: a
// full disk is another matter than a missing right.
func canWrite(folder string) error {
	const write, search = 2, 1 // W_OK and X_OK of access(2)
	return syscall.Access(folder, write|search)
}
