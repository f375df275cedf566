package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"oauthproxy/doctor"
)

// check returns what the command finds, as JSON, and its exit status.
func (s *site) check(args ...string) (reportJSON, outcome) {
	s.t.Helper()
	got := runCommand(s.t, "", append([]string{"check", "--json", "--config", s.config}, args...)...)
	var all reportJSON
	if err := json.Unmarshal([]byte(got.out), &all); err != nil {
		s.t.Fatalf("%v: %+v", err, got)
	}
	return all, got
}

// only returns the findings of a status.
func (r reportJSON) only(s doctor.Status) (found []doctor.Finding) {
	for _, f := range r.Findings {
		if f.Status == s {
			found = append(found, f)
		}
	}
	return found
}

// has tells whether a probe has found that everything is well with a subject.
func (r reportJSON) has(probe, subject string) bool {
	for _, f := range r.Findings {
		if f.Probe == probe && strings.Contains(f.Subject, subject) && f.Status == doctor.OK {
			return true
		}
	}
	return false
}

// TestCheckOfAHealthySite raises no alarm: before the service runs, and beside
// it, when the service itself looks.
func TestCheckOfAHealthySite(t *testing.T) {
	s := newSite(t, "device_code")
	s.logInByCode("alice@contoso.example", "alice@contoso.example")
	s.logInByCode("shared@contoso.example", "alice@contoso.example")
	for name, probes := range map[string]map[string]string{
		"before": {"configuration": "config.yaml", "token": "alice@contoso.example", "imap": s.IMAP(), "smtp": s.SMTP()},
		"beside": {"configuration": "config.yaml", "token": "shared@contoso.example", "imap": s.IMAP(), "listener": "127.0.0.1:", "open relay": "127.0.0.1:"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "beside" {
				proxy, _ := s.serve()
				defer proxy.end(t)
			}
			got, said := s.check()
			if said.status != exitWell || got.Broken > 0 || got.Warnings > 0 || said.err != "" {
				t.Errorf("status %d, %s\nbroken %+v\nwarnings %+v", said.status, said.err, got.only(doctor.Broken), got.only(doctor.Warning))
			}
			for probe, subject := range probes {
				if !got.has(probe, subject) {
					t.Errorf("no %s of %s in %+v", probe, subject, got.Findings)
				}
			}
		})
	}
}

// TestCheckNamesTheCause, in plain lines for people, with this account's names.
func TestCheckNamesTheCause(t *testing.T) {
	s := newSite(t, "device_code")
	s.change("scanner@contoso.example", "smtp-disabled@contoso.example")
	got := runCommand(t, "", "check", "--config", s.config, "SMTP-disabled@contoso.example")
	for _, want := range []string{
		"\nBROKEN   smtp smtp-disabled@contoso.example, " + s.SMTP() + ": SMTP is refused: 535 5.7.139 ",
		"\n         to do, by the administrator of Exchange: ",
		"\n         PS> Set-CASMailbox -Identity 'smtp-disabled@contoso.example' -SmtpClientAuthenticationDisabled $false\n",
		"\nin all: 1 broken, ",
	} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is missing in:\n%s", want, got.out)
		}
	}
	if got.status != exitFailed || got.err != "" || strings.Contains(got.out, "alice@") {
		t.Errorf("status %d, %s\n%s", got.status, got.err, got.out)
	}
}

// TestCheckWithoutASignIn says what to run, and waits for nobody.
func TestCheckWithoutASignIn(t *testing.T) {
	s := newSite(t, "device_code")
	got, said := s.check("alice@contoso.example")
	broken := got.only(doctor.Broken)
	if said.status != exitFailed || len(broken) != 1 || broken[0].Probe != "token" || broken[0].Who != "you" ||
		!strings.Contains(strings.Join(broken[0].Fix, "\n"), "oauthproxy login alice@contoso.example") {
		t.Errorf("status %d, %+v", said.status, broken)
	}
}

// TestCheckOfARevokedSignIn finds it while the access token there is still good,
// and leaves that one in use.
func TestCheckOfARevokedSignIn(t *testing.T) {
	s := newSite(t, "device_code")
	const alice = "alice@contoso.example"
	s.logInByCode(alice, alice)
	s.EndSignIns(alice, 50173)
	proxy, _ := s.serve()
	defer proxy.end(t)
	got, said := s.check(alice)
	broken := got.only(doctor.Broken)
	if said.status != exitFailed || len(broken) != 1 || broken[0].Probe != "token" || !strings.Contains(broken[0].Seen, "AADSTS50173") ||
		!strings.Contains(strings.Join(broken[0].Fix, "\n"), "oauthproxy login "+alice) {
		t.Errorf("status %d, %+v", said.status, broken)
	}
	imap := proxy.err.await(t, `msg=listening protocol=imap address=(\S+)`)[1]
	if heard := logInByIMAP(t, imap, "alice"); !strings.HasPrefix(heard, "a OK ") {
		t.Errorf("a client hears %q", heard)
	}
}

// TestCheckAsksOnceForAnApp, however many accounts it has: whether that goes
// well or not, each account is told of.
func TestCheckAsksOnceForAnApp(t *testing.T) {
	for name, test := range map[string]struct {
		secret string // "": the right one
		status doctor.Status
	}{
		"a good secret":  {"", doctor.OK},
		"a wrong secret": {"not the one", doctor.Broken},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "device_code")
			s.change("app: staff, sign_in_as: alice@contoso.example", "app: devices")
			s.change("app: staff", "app: devices")
			if test.secret != "" {
				s.write("client.secret", test.secret)
			}
			got, said := s.check()
			tokens := 0
			for _, f := range got.Findings {
				if f.Probe == "token" && f.Status == test.status {
					tokens++
				}
			}
			if requests := s.TokenRequests(); tokens != 3 || requests != 1 {
				t.Errorf("%d accounts, %d requests: %+v", tokens, requests, said)
			}
		})
	}
}

// TestCheckOfTheConfiguration: what is wrong with it is told in the same form,
// with an exit status of its own; a running service says that it can't start
// again.
func TestCheckOfTheConfiguration(t *testing.T) {
	s := appOnly(t)
	right, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	breakIt := func() {
		s.write("config.yaml", strings.Replace(string(right), "protocol: smtp", "protocol: smpt", 1))
	}
	breakIt()
	got, said := s.check()
	if broken := got.only(doctor.Broken); said.status != exitConfig || len(got.Findings) != 1 || len(broken) != 1 ||
		!strings.HasSuffix(broken[0].Subject, "config.yaml:7") || broken[0].Do != "did you mean smtp?" {
		t.Errorf("alone: %+v", said)
	}
	s.write("config.yaml", string(right))
	proxy, _ := s.serve()
	defer proxy.end(t)
	breakIt()
	got, said = s.check("scanner@contoso.example")
	if broken := got.only(doctor.Broken); said.status != exitConfig || len(broken) != 1 || !strings.Contains(broken[0].Means, "can't start again") {
		t.Errorf("beside the service: status %d, %+v", said.status, broken)
	}
}

// TestCheckSends a message, by which it arrives.
func TestCheckSends(t *testing.T) {
	s := appOnly(t)
	got, said := s.check("--send", "scanner@contoso.example")
	if said.status != exitWell || !got.has("send", "scanner@contoso.example") || !got.has("arrival", "scanner@contoso.example") {
		t.Errorf("%+v", said)
	}
}

func TestCheckMisuse(t *testing.T) {
	s := appOnly(t)
	for name, test := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no such account": {[]string{"scaner@contoso.example"}, exitFailed, "did you mean scanner@contoso.example?"},
		"no address":      {[]string{"--send", "somebody"}, exitUsage, "--send takes an address"},
		"no such flag":    {[]string{"--jsno"}, exitUsage, "flag provided but not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			got := runCommand(t, "", append([]string{"check", "--config", s.config}, test.args...)...)
			if got.status != test.status || !strings.Contains(got.err, test.says) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestCheckInterrupted ends at once, and shows what it had found.
func TestCheckInterrupted(t *testing.T) {
	s := appOnly(t)
	s.change("scanner@contoso.example", "stall@contoso.example")
	check := start(t, "check", "--config", s.config)
	check.out.await(t, `(?m)^ok +token stall@contoso\.example`)
	check.stop()
	check.wait(t, exitFailed)
	if !strings.Contains(check.err.String(), "oauthproxy: interrupted\n") || !strings.Contains(check.out.String(), "the rest was not looked at") {
		t.Errorf("it said:\n%s\n%s", check.out, check.err)
	}
}

// TestLikelyCauseIsLogged once, however often a device tries.
func TestLikelyCauseIsLogged(t *testing.T) {
	s := appOnly(t)
	s.change("scanner@contoso.example", "smtp-disabled@contoso.example")
	proxy, smtp := s.serve()
	defer proxy.end(t)
	for range 3 {
		if err := send(smtp, "scanner", localPassword); err == nil {
			t.Error("a refused mailbox takes a message")
		}
	}
	log := proxy.err.String()
	if lines := regexp.MustCompile(`msg="likely cause of the refusal" .*account=smtp-disabled@contoso.example .*remedy_id=smtp-off-mailbox`).FindAllString(log, -1); len(lines) != 1 {
		t.Errorf("%d lines in:\n%s", len(lines), log)
	}
	if !strings.Contains(log, "Set-CASMailbox -Identity 'smtp-disabled@contoso.example'") {
		t.Errorf("no line to paste in:\n%s", log)
	}
}

// TestCheckTellsNoSecret: neither the tokens nor the client secret.
func TestCheckTellsNoSecret(t *testing.T) {
	s := appOnly(t)
	got := runCommand(t, "", "check", "--json", "--config", s.config)
	secret, err := os.ReadFile(filepath.Join(s.folder, "client.secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{string(secret), "eyJ"} { // how a JWT begins
		if strings.Contains(got.out+got.err, secret) {
			t.Errorf("%q is in what check says", secret)
		}
	}
}
