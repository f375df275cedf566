package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"oauthproxy/accounts"
	"oauthproxy/config"
	"oauthproxy/internal/registration"
	"oauthproxy/internal/safefile"
	"oauthproxy/internal/wire"
)

// isThere tells whether there is something of that name, be it a link to
// nowhere. What can't be looked at counts.
func isThere(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// askFile asks where the configuration goes. "-" is the screen.
func (s *setup) askFile() {
	preset := s.file
	if preset == "" {
		preset, s.ended = usualFile()
	}
	for s.ended == nil {
		answer := s.line(question{
			text: "Where shall the configuration be saved?", label: "file, or -", preset: preset,
			more:  "oauthproxy finds it by itself where the first default says; else it takes --config. For a service of the machine: /etc/oauthproxy/config.yaml, which the service's group has to be able to read. - saves nothing and shows it at the end.",
			check: checkFile,
		})
		if answer == "-" {
			s.file, s.folder = "", "."
			return
		}
		s.replaces = s.ended == nil && isThere(answer)
		if s.replaces && !s.confirm(answer+" is there already. Overwrite it?",
			"What is in it now would be gone. With no, you can name another file, or - to see the configuration and save nothing.", false) {
			preset = ""
			continue
		}
		s.file, s.folder = answer, filepath.Dir(answer)
		return
	}
}

// checkFile returns the whole name of a file that can be written.
func checkFile(answer string) (string, error) {
	switch answer {
	case "":
		return "", errors.New("it takes the name of a file, or - to see the configuration and save nothing")
	case "-":
		return answer, nil
	}
	if rest, ok := strings.CutPrefix(answer, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", errors.New("nobody tells which folder ~ is")
		}
		answer = filepath.Join(home, rest)
	}
	name, err := filepath.Abs(answer)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is there, and is no file", name)
	}
	if info, err := os.Stat(filepath.Dir(name)); err == nil && !info.IsDir() {
		return "", fmt.Errorf("%s is no folder", filepath.Dir(name))
	}
	return name, nil
}

// askProof asks for what the application shows Microsoft.
func (s *setup) askProof() {
	switch s.Access {
	case registration.Secret:
		s.askSecret()
	case registration.Certificate:
		s.hasSecret = isThere(s.beside("app.key")) && isThere(s.beside("app.crt"))
	}
}

// shellWord quotes a name for a shell.
func shellWord(name string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/.-_+"
	if strings.Trim(name, plain) == "" {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// beside is the name of a file in the configuration's folder.
func (s *setup) beside(name string) string { return filepath.Join(s.folder, name) }

func (s *setup) askSecret() {
	s.secretFile = "client.secret"
	if isThere(s.beside(s.secretFile)) {
		s.hasSecret = s.confirm("There is a client secret in "+s.beside(s.secretFile)+". Is it that of this application?", "With no, the new one gets a file of its own.", true)
		for n := 2; !s.hasSecret && isThere(s.beside(s.secretFile)); n++ {
			s.secretFile = fmt.Sprintf("client-%d.secret", n)
		}
	}
	if s.hasSecret || s.ended != nil || s.file == "" {
		return
	}
	fmt.Fprintln(s.err)
	s.tell("What is the client secret's Value? Paste it; it isn't shown, and is saved in " + s.beside(s.secretFile) + ". If you don't have it yet, just press Enter.")
	for s.ended == nil {
		typed := strings.TrimSpace(s.unseen("client secret"))
		switch {
		case typed == "?":
			s.tell("Entra ID shows it once, when it is made: Certificates & secrets > Client secrets, in the column Value.")
		case guid.MatchString(typed):
			s.tell("That looks like the Secret ID. It takes the Value, which stands in the column before it.")
		case len(typed) > maxPassword:
			s.tell(fmt.Sprintf("That won't do: it is longer than %d bytes.", maxPassword))
		default:
			s.secret, s.hasSecret = wire.NewSecret(typed), typed != ""
			return
		}
	}
}

// offerScripts saves the scripts in the middle of the conversation, for
// somebody who has to register the application first.
func (s *setup) offerScripts() {
	s.wantScripts("Save that as PowerShell scripts now, setup-entra.ps1 and setup-exchange.ps1, in "+s.folder+"?", false)
	if !s.scripts || s.ended != nil {
		return
	}
	s.scripts = false // not again at the end
	if err := s.writeScripts(); err != nil {
		s.fail(err)
		return
	}
	s.scriptsWritten = true
}

func (s *setup) askScripts() {
	if !s.scriptsWritten {
		s.wantScripts("Save what is to be done at Microsoft as PowerShell scripts, setup-entra.ps1 and setup-exchange.ps1, in "+s.folder+"?", true)
	}
}

func (s *setup) wantScripts(text string, preset bool) {
	if s.file == "" {
		return
	}
	s.scripts = s.confirm(text, "One for the administrator of Entra ID, one for that of Exchange, who may be other people. Nothing in them is secret.", preset)
	if s.scripts && (isThere(s.beside("setup-entra.ps1")) || isThere(s.beside("setup-exchange.ps1"))) {
		s.replacesScripts = s.confirm("There are such scripts already. Overwrite them?", "With no, those stay, and no new ones are saved.", false)
		s.scripts = s.replacesScripts
	}
}

// write saves the files. What can't be saved is shown.
func (s *setup) write(text string) int {
	if s.file == "" {
		s.result("%s", strings.TrimSuffix(text, "\n"))
		s.tell("This is the configuration; nothing was saved.")
		return exitWell
	}
	if err := s.writeFiles(text); err != nil {
		s.fail(err)
		s.result("%s", strings.TrimSuffix(text, "\n"))
		s.hint("this is the configuration: save it in a file that others can't read, and name that with --config")
		return exitFailed
	}
	return s.load()
}

func (s *setup) writeFiles(text string) error {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return fmt.Errorf("can't make the folder %s: %w", s.folder, err)
	}
	if !s.secret.IsEmpty() {
		file := s.beside(s.secretFile)
		if err := create(file, s.secret.Reveal()+"\n", false); err != nil {
			return err
		}
		s.tell("The client secret is saved in " + file + ".")
	}
	if err := create(s.file, text, s.replaces); err != nil {
		return err
	}
	s.tell("The configuration is saved in " + s.file + ".")
	if s.scripts {
		return s.writeScripts()
	}
	return nil
}

// create writes a file for its owner alone. One that has appeared since the
// question, or may not be replaced, stays.
func create(name, text string, mayReplace bool) error {
	if !mayReplace && isThere(name) {
		return fmt.Errorf("%s has appeared meanwhile: it isn't overwritten", name)
	}
	return safefile.Write(name, []byte(text), 0o600)
}

// writeScripts saves the scripts for the administrators. Nothing in them is
// secret.
func (s *setup) writeScripts() error {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return fmt.Errorf("can't make the folder %s: %w", s.folder, err)
	}
	for _, script := range s.Scripts() {
		file := s.beside(script.Name)
		if err := create(file, script.Text, s.replacesScripts); err != nil {
			return err
		}
		s.tell("The script for " + script.Who + " is saved in " + file + ".")
	}
	return nil
}

// load reads the configuration back as the service will.
func (s *setup) load() int {
	_, err := config.Load(s.file, accounts.CheckHash)
	switch {
	case err == nil:
		s.tell("It can be loaded as it is.")
		return exitWell
	case s.Access.HasPerson() || s.hasSecret:
		s.problems(err)
		return exitConfig
	case s.Access == registration.Certificate:
		s.tell("It lacks the application's key and certificate yet: see below.")
	default:
		s.tell("It lacks the client secret yet: see below.")
	}
	s.signIn, s.check = false, false
	return exitWell
}
