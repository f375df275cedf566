//go:build !linux

package main

import "io"

// isJournal tells whether w leads to systemd's journal, which is on Linux alone.
func isJournal(io.Writer) bool { return false }
