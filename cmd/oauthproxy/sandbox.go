package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"oauthproxy/accounts"
	"oauthproxy/config"
	"oauthproxy/internal/sandbox"
	"oauthproxy/internal/wire"
)

// standIn is a running sandbox with the files that a configuration for it
// names.
type standIn struct {
	*sandbox.Sandbox
	folder   string
	password wire.Secret // of every local login
	hash     string
}

// newStandIn starts a sandbox. Its password is made for this run alone.
func newStandIn() (*standIn, error) {
	password, _, err := accounts.Generate()
	if err != nil {
		return nil, err
	}
	hash, err := accounts.Hash(password)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "oauthproxy-sandbox-")
	if err != nil {
		return nil, fmt.Errorf("no folder for the sandbox's files: %w", err)
	}
	s := &standIn{folder: folder, password: password, hash: hash}
	if err := s.start(); err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	return s, nil
}

func (s *standIn) start() (err error) {
	if s.Sandbox, err = sandbox.Start(sandbox.Options{}); err != nil {
		return err
	}
	if err = s.writeFiles(); err != nil {
		_ = s.Sandbox.Close()
	}
	return err
}

// writeFiles writes what the configuration names files of.
func (s *standIn) writeFiles() error {
	if err := os.WriteFile(s.rootFile(), s.CAPEM(), 0o600); err != nil {
		return err
	}
	for _, app := range s.apps() {
		content := app.Certificate
		if app.Flow == sandbox.FlowClientSecret {
			content = []byte(app.Secret + "\n")
		}
		if content == nil {
			continue
		}
		if err := os.WriteFile(s.secretFile(app), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *standIn) rootFile() string { return filepath.Join(s.folder, "ca.pem") }

// secretFile holds what an application proves itself by.
func (s *standIn) secretFile(app sandbox.App) string {
	return filepath.Join(s.folder, app.Name+".secret")
}

// close stops the sandbox and removes its files.
func (s *standIn) close() {
	_ = s.Sandbox.Close()
	_ = os.RemoveAll(s.folder)
}

// load writes the configuration to the sandbox's folder and reads it back as
// any other.
func (s *standIn) load(p ports) (*config.Config, error) {
	file := filepath.Join(s.folder, "config.yaml")
	if err := os.WriteFile(file, []byte(s.configuration(p)), 0o600); err != nil {
		return nil, err
	}
	return config.Load(file, accounts.CheckHash)
}

// runSandbox runs the stand-ins alone.
func runSandbox(ctx context.Context, args []string, u *ui) int {
	if _, status, ok := newOptions("sandbox", u).parse(args, 0); !ok {
		return status
	}
	s, err := newStandIn()
	if err != nil {
		return u.fail(err)
	}
	defer s.close()
	u.result("%s", strings.TrimSuffix(s.configuration(usualPorts), "\n"))
	u.say("stand-in Entra ID and Exchange are running on this machine alone, until Ctrl-C")
	u.hint("save the configuration above and run: oauthproxy serve --config FILE")
	<-ctx.Done()
	return exitWell
}
