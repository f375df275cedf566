package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"oauthproxy/accounts"
	"oauthproxy/admin"
	"oauthproxy/config"
	"oauthproxy/doctor"
)

// manyAccounts is how many accounts a command line may name.
const manyAccounts = 1000

// check looks for what doesn't work between clients, us, Entra ID and Exchange.
func check(ctx context.Context, args []string, u *ui) int {
	o := newOptions("check", u)
	asJSON := o.Bool("json", false, "print JSON, for programs")
	send := o.String("send", "", "send a test message to `ADDRESS`, and follow it if that mailbox can be read")
	names, status, ok := o.parse(args, manyAccounts)
	if !ok {
		return status
	}
	if *send != "" && !config.IsAddress(*send) {
		return o.misuse(errors.New("--send takes an address such as alice@contoso.com"))
	}
	file, status := o.file()
	if status != exitWell {
		return status
	}
	r := newReport(u, *asJSON)
	defer r.close()
	c, status := r.examiner(ctx, file)
	if c == nil {
		return status
	}
	defer c.close()
	for i, name := range names {
		account, err := c.account(ctx, name)
		if err != nil {
			return u.failAccount(err)
		}
		names[i] = account.Account
	}
	return r.finish(c.Check(ctx, admin.Examination{Accounts: names, Send: *send}, r))
}

// examiner finds who can look: the running service, which has the secrets and
// the network that count, or else the command itself.
func (r *report) examiner(ctx context.Context, file string) (*control, int) {
	client, err := dialService(ctx, file)
	switch {
	case err == nil:
		return &control{Service: client, isRunning: true, close: func() {}}, exitWell
	case errors.Is(err, fs.ErrPermission):
		r.ui.fail(err)
		r.ui.hint("run this as root, or as the user that the service runs as")
		return nil, exitFailed
	case !errors.Is(err, admin.ErrNoService):
		return nil, r.ui.fail(err)
	}
	c, err := config.Load(file, accounts.CheckHash)
	if err != nil {
		for _, f := range misconfigured(file, err) {
			r.Found(f)
		}
		return nil, r.finish(nil)
	}
	own, err := openAlone(c)
	if err != nil {
		return nil, r.ui.failLocked(err, "that process doesn't answer on its control socket: wait until it has started or ended, else restart it")
	}
	return &control{Service: own, close: own.Close}, exitWell
}

// configurationProbe is the probe of the configuration, whose failure has an
// exit status of its own.
const configurationProbe = "configuration"

// misconfigured are the findings about a configuration that can't be used.
func misconfigured(file string, err error) []doctor.Finding {
	broken := doctor.Finding{Probe: configurationProbe, Subject: file, Status: doctor.Broken, Seen: err.Error(), Who: "you"}
	var invalid *config.Invalid
	if !errors.As(err, &invalid) {
		return []doctor.Finding{broken}
	}
	var all []doctor.Finding
	for _, p := range invalid.Problems {
		f := broken
		if p.Line > 0 {
			f.Subject = fmt.Sprintf("%s:%d", file, p.Line)
		}
		f.Seen, f.Do = p.Text, p.Hint
		if p.Key != "" {
			f.Seen = p.Key + ": " + p.Text
		}
		all = append(all, f)
	}
	return all
}
