package main

import (
	"context"
	"runtime"
	"runtime/debug"
)

// release is the version, when the build sets it:
// go build -ldflags "-X main.release=v1.2.3".
var release string

// version prints the version and what it was built with.
func version(_ context.Context, args []string, u *ui) int {
	if _, status, ok := newOptions("version", u).parse(args, 0); !ok {
		return status
	}
	u.result("oauthproxy %s (%s %s/%s)", currentRelease(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitWell
}

// currentRelease is release, else what Go recorded about the source.
func currentRelease() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown version)"
}
