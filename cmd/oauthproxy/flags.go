package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"oauthproxy/accounts"
	"oauthproxy/config"
)

// options are the flags of one command.
type options struct {
	*flag.FlagSet
	ui     *ui
	config *string
}

// newOptions returns the flags that every command has; the command adds its
// own.
func newOptions(name string, u *ui) *options {
	o := &options{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), ui: u}
	o.SetOutput(io.Discard) // the ui speaks
	o.config = o.String("config", "", "read the configuration from `FILE`")
	return o
}

// leading reads the flags before the name of the command and returns the rest
// of args, at least one. ok is false when there is nothing left to do but to
// end with the exit status.
func (o *options) leading(args []string) (rest []string, status int, ok bool) {
	switch err := o.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		o.ui.result("%s", overview())
		return nil, o.ui.finish(exitWell), false
	case err != nil:
		return nil, o.misuse(err), false
	case o.NArg() == 0:
		return nil, o.misuse(errors.New("no command given")), false
	}
	return o.Args(), exitWell, true
}

// parse reads the flags, wherever they stand, and returns the other
// arguments, of which there may be as many as most. ok is false when there is
// nothing left to do but to end with the exit status.
func (o *options) parse(args []string, most int) (rest []string, status int, ok bool) {
	for len(args) > 0 {
		switch err := o.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			o.usage()
			return nil, exitWell, false
		case err != nil:
			return nil, o.misuse(err), false
		}
		left := o.Args()
		if parsed := len(args) - len(left); parsed > 0 && args[parsed-1] == "--" {
			rest = append(rest, left...)
			break
		}
		if len(left) == 0 {
			break
		}
		rest, args = append(rest, left[0]), left[1:]
	}
	if len(rest) > most {
		return nil, o.misuse(fmt.Errorf("unexpected argument %q", rest[most])), false
	}
	return rest, exitWell, true
}

// misuse tells what is wrong with the arguments.
func (o *options) misuse(err error) int {
	topic := strings.TrimRight("oauthproxy help "+o.Name(), " ")
	return o.ui.misuse("for what it takes, run: "+topic, "%v", err)
}

// file returns the configuration's name: what --config says, else the default
// one. If there is none, the exit status isn't exitWell.
func (o *options) file() (string, int) {
	if *o.config != "" {
		return *o.config, exitWell
	}
	found, err := config.DefaultFile()
	if err != nil {
		o.ui.say("%v", err)
		o.ui.hint("name one with --config, or make one with: oauthproxy setup")
		return "", exitConfig
	}
	return found, exitWell
}

// configuration loads the configuration. It returns nil and the exit status
// when that can't be used.
func (o *options) configuration() (*config.Config, int) {
	file, status := o.file()
	if status != exitWell {
		return nil, status
	}
	c, err := config.Load(file, accounts.CheckHash)
	if err != nil {
		o.ui.problems(err)
		return nil, exitConfig
	}
	return c, exitWell
}
