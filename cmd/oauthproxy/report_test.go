package main

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"oauthproxy/doctor"
)

var (
	wellFinding   = doctor.Finding{Probe: "dns", Subject: "outlook.office365.com", Status: doctor.OK, Seen: "8 addresses", Took: time.Millisecond}
	brokenFinding = doctor.Finding{Probe: "smtp", Subject: "smtp.office365.com:587", Account: "scanner@contoso.com", Status: doctor.Broken,
		Seen: "535 5.7.139 Authentication unsuccessful", Cause: "smtp-off-mailbox",
		Means: "SMTP AUTH is switched off for this mailbox, and that holds for OAuth2 too", Who: "the administrator of Exchange",
		Do: "switch it on", Fix: []string{"Exchange admin center, Recipients, Mailboxes, Manage email apps settings"}, PowerShell: []string{"Connect-ExchangeOnline", "Set-CASMailbox -Identity scanner@contoso.com -SmtpClientAuthenticationDisabled $false"}, Spreads: true}
)

func showReport(r *report, findings ...doctor.Finding) {
	for _, f := range findings {
		r.Begin(f.Probe, f.Subject)
		r.Found(f)
	}
}

func TestReportInAPipe(t *testing.T) {
	var out, err strings.Builder
	r := newReport(&ui{out: &out, err: &err}, false)
	showReport(r, wellFinding, brokenFinding)
	if status := r.finish(nil); status != exitFailed {
		t.Errorf("status %d", status)
	}
	want := `ok       dns outlook.office365.com: 8 addresses
BROKEN   smtp scanner@contoso.com, smtp.office365.com:587: 535 5.7.139 Authentication unsuccessful
         means: SMTP AUTH is switched off for this mailbox, and that holds for OAuth2 too
         to do, by the administrator of Exchange: switch it on
         - Exchange admin center, Recipients, Mailboxes, Manage email apps settings
         PS> Connect-ExchangeOnline
         PS> Set-CASMailbox -Identity scanner@contoso.com -SmtpClientAuthenticationDisabled $false
         a change of that may take up to two hours to be in force
in all: 1 broken, 1 well
`
	if out.String() != want || err.Len() > 0 {
		t.Errorf("got\n%s\n%s\nwant\n%s", &out, &err, want)
	}
}

// TestReportIsNarrow: at 60 columns words go whole onto the next line, and what
// is there to be copied stays in one piece.
func TestReportIsNarrow(t *testing.T) {
	var out, err strings.Builder
	r := newReport(&ui{out: &out, err: &err}, false)
	r.width, r.tracks = 60, true
	showReport(r, brokenFinding)
	for _, line := range strings.Split(out.String(), "\n") {
		if len(line) > 60 && !strings.Contains(line, "Set-CASMailbox") {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	if !strings.Contains(out.String(), "\n         PS> Set-CASMailbox -Identity scanner@contoso.com -SmtpClientAuthenticationDisabled $false\n") {
		t.Errorf("got\n%s", &out)
	}
	if !strings.Contains(err.String(), "\r... smtp smtp.office365.com:587\x1b[K") || !strings.HasSuffix(err.String(), "\r\x1b[K") {
		t.Errorf("progress %q", &err)
	}
}

// TestReportRepeatsWhatIsBroken where it has gone off the screen.
func TestReportRepeatsWhatIsBroken(t *testing.T) {
	const repeated = "in all: 1 broken, %s well\nbroken:  smtp scanner@contoso.com, smtp.office365.com:587: 535 5.7.139 Authentication unsuccessful\n"
	for name, test := range map[string]struct {
		well   int
		asJSON bool
		end    string
	}{
		"40 lines":    {33, false, "in all: 1 broken, 33 well\n"},
		"41 lines":    {34, false, strings.Replace(repeated, "%s", "34", 1)},
		"41, as JSON": {34, true, "}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&ui{out: &out, err: &strings.Builder{}}, test.asJSON)
			showReport(r, brokenFinding)
			for range test.well {
				showReport(r, wellFinding)
			}
			r.finish(nil)
			if !strings.HasSuffix(out.String(), "\n"+test.end) {
				t.Errorf("got\n%s", &out)
			}
		})
	}
}

// TestReportDrivesNoTerminal: what a server says can't.
func TestReportDrivesNoTerminal(t *testing.T) {
	var out, err strings.Builder
	r := newReport(&ui{out: &out, err: &err}, false)
	f := brokenFinding
	f.Seen, f.Subject, f.Fix, f.PowerShell = "a\x1b[2Jb\r\nok all is well\u202e", "c\x07d", []string{"e\nf"}, []string{"e\nf"}
	showReport(r, f)
	if strings.ContainsAny(out.String(), "\x1b\r\x07\u202e") || strings.Contains(out.String(), "\nok") || strings.Contains(out.String(), "e\nf") {
		t.Errorf("got %q", &out)
	}
}

func TestReportAsJSON(t *testing.T) {
	var out, err strings.Builder
	r := newReport(&ui{out: &out, err: &err}, true)
	showReport(r, wellFinding, brokenFinding)
	if status := r.finish(errors.New("the network is gone")); status != exitFailed {
		t.Errorf("status %d", status)
	}
	var got reportJSON
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	want := reportJSON{Findings: []doctor.Finding{wellFinding, brokenFinding}, Broken: 1, Error: "the network is gone"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestReportStatus(t *testing.T) {
	tests := map[string]struct {
		findings []doctor.Finding
		err      error
		status   int
	}{
		"all well":          {[]doctor.Finding{wellFinding}, nil, exitWell},
		"a warning":         {[]doctor.Finding{{Status: doctor.Warning}, {Status: doctor.Note}}, nil, exitWell},
		"broken":            {[]doctor.Finding{brokenFinding, wellFinding}, nil, exitFailed},
		"configuration":     {[]doctor.Finding{{Probe: configurationProbe, Status: doctor.Broken}}, nil, exitConfig},
		"that and the rest": {[]doctor.Finding{{Probe: configurationProbe, Status: doctor.Broken}, brokenFinding}, nil, exitConfig},
		"interrupted":       {[]doctor.Finding{wellFinding}, errors.New("interrupted"), exitFailed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReport(&ui{out: &strings.Builder{}, err: &strings.Builder{}}, false)
			showReport(r, test.findings...)
			if status := r.finish(test.err); status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
		})
	}
}
