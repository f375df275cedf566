package admin

import "syscall"

// errRefused is what a socket answers with that nobody listens on
// (WSAECONNREFUSED).
const errRefused = syscall.Errno(10061)
