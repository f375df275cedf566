package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"oauthproxy/accounts"
	"oauthproxy/config"
	"oauthproxy/internal/registration"
	"oauthproxy/internal/wire"
	"oauthproxy/tokens"
)

// runSetup leads from nothing to a configuration and an app registration.
func runSetup(ctx context.Context, args []string, u *ui) int {
	o := newOptions("setup", u)
	reading := o.Bool("print", false, "ask nothing and write nothing: print what is to be done, for reading")
	if _, status, ok := o.parse(args, 0); !ok {
		return status
	}
	if *reading {
		u.printGuide()
		return exitWell
	}
	if !u.isConversation() {
		return u.misuse("to read what is to be done, run: oauthproxy setup --print", "setup asks questions, and this is no terminal")
	}
	s := &setup{conversation: &conversation{ui: u, ctx: ctx}, file: *o.config}
	if err := s.interview(); err != nil {
		u.fail(err)
		u.hint("%s", s.undone())
		return exitFailed
	}
	return s.carryOut()
}

// isConversation tells whether a person reads the questions and answers them.
func (u *ui) isConversation() bool {
	_, types := isTerminal(u.in)
	_, reads := isTerminal(u.err)
	return types && reads
}

// setup is a conversation about a first configuration, and what it has found
// out. Nothing is written before its end, but for the scripts if somebody
// wants them in the middle.
type setup struct {
	*conversation

	registration.Plan        // what is to be done at Microsoft
	isDevice          bool   // the client is a printer or another machine
	host              string // the address of the listeners
	tls               string // of the listeners
	networks          []string
	user              string
	password          wire.Secret
	isGenerated       bool // the password

	folder     string      // of the files
	file       string      // the configuration; empty: it is printed
	secret     wire.Secret // of the application
	secretFile string      // its name
	hasSecret  bool        // the file is there, or will be
	scripts    bool        // they are to be written

	replaces, replacesScripts bool // files that are there, as was agreed

	stepsShown, scriptsWritten bool
	signIn, check              bool // at the end
}

// mailbox is the one that all of this is about.
func (s *setup) mailbox() string { return s.Mailboxes[0] }

// interview asks everything.
func (s *setup) interview() error {
	s.tell("This asks what oauthproxy has to know for a first mailbox, tells what is to be done at Microsoft, and writes a configuration.",
		"Enter takes the answer in brackets, ? tells more, Ctrl-C ends it. Nothing is written before the last question.")
	steps := []func(){
		s.askCloud, s.askMailbox, s.askAccess, s.askProtocols, s.askMailRole,
		s.askClients, s.askUser, s.askPassword, s.askFile, s.askRegistration,
		s.askProof, s.askScripts, s.askWhatNext,
	}
	for _, step := range steps {
		if step(); s.ended != nil {
			return s.ended
		}
	}
	return nil
}

// undone tells what an interrupted conversation leaves.
func (s *setup) undone() string {
	if s.scriptsWritten {
		return "nothing was written but the two scripts that you wanted; to begin again, run: oauthproxy setup"
	}
	return "nothing was written; to begin again, run: oauthproxy setup"
}

// carryOut does what the answers say.
func (s *setup) carryOut() int {
	text, err := s.configuration()
	if err != nil {
		return s.fail(err)
	}
	fmt.Fprintln(s.err)
	status := s.write(text)
	if !s.stepsShown {
		s.showSteps()
	}
	s.showClient()
	if status != exitWell {
		return status
	}
	s.showCommands()
	return s.goOn()
}

// configuration makes the password's hash, and the configuration with it.
func (s *setup) configuration() (string, error) {
	hash, err := accounts.Hash(s.password)
	if err != nil {
		return "", err
	}
	return s.yaml(hash), nil
}

// showCommands tells which commands are next, but for those that goOn runs.
func (s *setup) showCommands() {
	s.title("Next")
	file := ""
	if usual, err := usualFile(); s.file != "" && (err != nil || usual != s.file) {
		file = " --config " + shellWord(s.file)
	} else if s.file == "" {
		file = " --config FILE"
	}
	switch {
	case s.Access.HasPerson() && !s.signIn:
		s.command("sign in", tokens.CommandLine("login", s.mailbox())+file)
	case s.hasSecret:
	case s.Access == registration.Secret:
		s.row("secret", "save the client secret's Value in "+s.beside(s.secretFile)+", which nobody else may read")
	case s.Access == registration.Certificate:
		s.command("key", registration.KeyCommand(shellWord(s.beside("app.key")), shellWord(s.beside("app.crt"))))
		s.row("upload", s.beside("app.crt")+", and that alone, to the registration")
	}
	if !s.check {
		s.command("check it", "oauthproxy check"+file)
	}
	s.command("run it", "oauthproxy serve"+file)
}

// goOn signs in and checks, where that was wanted.
func (s *setup) goOn() int {
	for _, next := range []struct {
		command string
		wanted  bool
	}{{"login", s.signIn}, {"check", s.check}} {
		c, _ := find(next.command)
		if !next.wanted {
			continue
		}
		fmt.Fprintln(s.err)
		s.say("now: oauthproxy %s %s", next.command, s.mailbox())
		if status := c.run(s.ctx, []string{"--config=" + s.file, "--", s.mailbox()}, s.ui); status != exitWell {
			return status
		}
	}
	return exitWell
}

// usualFile is where the configuration is looked for: one that is there, or
// the user's own.
func usualFile() (string, error) {
	if found, err := config.DefaultFile(); err == nil {
		return found, nil
	}
	folder, err := os.UserConfigDir()
	if err != nil {
		return "", errors.New("there is no folder for configurations of yours: name a file with --config")
	}
	return filepath.Join(folder, "oauthproxy", "config.yaml"), nil
}
