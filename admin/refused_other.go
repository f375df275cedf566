//go:build !windows

package admin

import "syscall"

// errRefused is what a socket answers with that nobody listens on.
const errRefused = syscall.ECONNREFUSED
