package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

// help shows all commands, or what one takes.
func help(ctx context.Context, args []string, u *ui) int {
	args, status, ok := newOptions("help", u).parse(args, 1)
	if !ok {
		return status
	}
	if len(args) == 0 {
		u.result("%s", overview())
		return exitWell
	}
	c, ok := find(args[0])
	if !ok {
		return unknown(args[0], u)
	}
	return c.run(ctx, []string{"-h"}, u)
}

// overview is the help for all commands.
func overview() string {
	var b strings.Builder
	b.WriteString("usage: oauthproxy [--config FILE] COMMAND\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-30s %s\n", c.form(), c.summary)
	}
	b.WriteString(`
Without --config the configuration is oauthproxy/config.yaml in your
configuration directory, else /etc/oauthproxy/config.yaml.

exit status: 0 well, 1 failed, 64 wrong usage, 78 wrong configuration`)
	return b.String()
}

// form is how the command is written.
func (c command) form() string { return strings.TrimRight(c.name+" "+c.arguments, " ") }

// usage shows what a command takes.
func (o *options) usage() {
	c, _ := find(o.Name())
	o.ui.result("usage: oauthproxy %s\n\n%s\n", c.form(), c.summary)
	o.VisitAll(func(f *flag.Flag) {
		value, about := flag.UnquoteUsage(f)
		o.ui.result("  --%-22s %s", strings.TrimRight(f.Name+" "+value, " "), about)
	})
}
