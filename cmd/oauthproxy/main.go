// Command oauthproxy lets mail programs and devices that only know passwords
// use Exchange Online, which takes none: it checks a local password, logs in
// to Exchange with an OAuth 2.0 access token and relays the session.
package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"oauthproxy/config"
)

// Exit statuses. There is no 2: that is a Go program that panicked, after
// which systemd should start it again, as it shouldn't after exitConfig.
const (
	exitWell   = 0
	exitFailed = 1
	exitUsage  = 64 // EX_USAGE of sysexits.h
	exitConfig = 78 // EX_CONFIG
)

// command is one thing oauthproxy can do.
type command struct {
	name      string
	arguments string // besides --config, for the help
	summary   string
	run       func(ctx context.Context, args []string, u *ui) int
}

// commands returns all of them, in the order of the help.
func commands() []command {
	return []command{
		{"demo", "[--once]", "show the whole of it on this machine, with stand-ins for Microsoft's servers", demo},
		{"sandbox", "", "run the stand-ins alone and print a configuration for them", runSandbox},
		{"setup", "[--print]", "ask for a first mailbox, tell what to do at Microsoft, write a configuration", runSetup},
		{"serve", "", "run the proxy", serve},
		{"reload", "", "let the running proxy read its configuration again; no session ends by it", reload},
		{"status", "[--watch] [--json]", "show what the running proxy does: listeners, sessions, mailboxes, warnings", status},
		{"login", "ACCOUNT", "sign in with Microsoft for a mailbox; where nobody needs to, fetch a token", login},
		{"logout", "ACCOUNT", "forget a sign-in", logout},
		{"accounts", "[--json]", "show how all accounts stand, and what to do", listAccounts},
		{"check", "[ACCOUNT...] [--json] [--send ADDRESS]", "find out what works, what doesn't, and what to do", check},
		{"store", "rekey [--key-file FILE | --passphrase]", "encrypt what is kept of the sign-ins with a new key", store},
		{"passwd", "[--generate]", "make a password's hash for the configuration", passwd},
		{"certificate", "", "print the root of the certificates made for TLS listeners, and where to install it", printRoot},
		{"version", "", "tell which version this is", version},
		{"help", "[COMMAND]", "show this, or what a command takes", help},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], &ui{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(status)
}

// run does what args ask for and returns the exit status.
func run(ctx context.Context, args []string, u *ui) int {
	o := newOptions("", u)
	args, status, ok := o.leading(args)
	if !ok {
		return status
	}
	name, args := args[0], args[1:]
	c, ok := find(name)
	if !ok {
		return unknown(name, u)
	}
	if c.asks() {
		// Ctrl-\ is an interruption too: a dump of goroutines tells nobody anything.
		var stop func()
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGQUIT)
		defer stop()
	}
	if *o.config != "" {
		args = append([]string{"--config=" + *o.config}, args...)
	}
	return u.finish(c.run(ctx, args, u))
}

// asks tells whether the command may wait for a person.
func (c command) asks() bool {
	return slices.Contains([]string{"login", "passwd", "setup", "store"}, c.name)
}

// find returns the command of that name.
func find(name string) (command, bool) {
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		return command{}, false
	}
	return all[i], true
}

// unknown answers a command that doesn't exist.
func unknown(name string, u *ui) int {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	hint := "for the commands there are, run: oauthproxy help"
	if near := config.Nearest(name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return u.misuse(hint, "unknown command %q", name)
}
