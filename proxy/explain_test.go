package proxy

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"oauthproxy/internal/wire"
)

// TestRefusalNamesTheLikelyCause in the log, at every retry; the client hears
// what it would have heard.
func TestRefusalNamesTheLikelyCause(t *testing.T) {
	token, key := wire.NewSecret("token"), refusalKey{"alice", "imap"}
	for name, test := range map[string]struct {
		found Explanation
		want  []any
	}{
		"known":   {Explanation{Cause: "no-right-app", Means: "no right", Do: "give it"}, []any{"means", "no right", "remedy", "give it", "remedy_id", "no-right-app"}},
		"unknown": {Explanation{}, RemedyOf("imap", "a NO AUTHENTICATE failed.")},
	} {
		t.Run(name, func(t *testing.T) {
			e := explanations{log: slog.New(slog.DiscardHandler), explain: func(LoginRefusal) Explanation { return test.found }}
			for range 2 {
				f := Fail(UpstreamRefused, "a NO AUTHENTICATE failed.")
				f.Explain("imap", f.Cause.Error())
				before := f.Sentence("S")
				e.refused(key, token, f)
				if got := f.Attributes("alice"); !slices.Equal(got, test.want) {
					t.Errorf("got %v", got)
				}
				if f.Sentence("S") != before || !f.Generic {
					t.Errorf("the client hears %q instead of %q", f.Sentence("S"), before)
				}
			}
		})
	}
}

// TestExplanationsAreTold once for an account and cause, and again when that
// cause comes back after a login that succeeded.
func TestExplanationsAreTold(t *testing.T) {
	var log strings.Builder
	var asked []LoginRefusal
	cause := "wrong-audience"
	e := explanations{
		log: slog.New(slog.NewTextHandler(&log, nil)),
		explain: func(r LoginRefusal) Explanation {
			asked = append(asked, r)
			return Explanation{Cause: cause, Means: "the token is for Microsoft Graph", Who: "you", Do: "remove scopes", Fix: []string{"one", "two"}}
		},
	}
	imap, smtp := refusalKey{"alice", "imap"}, refusalKey{"alice", "smtp"}
	token := wire.NewSecret("a secret token")
	refuse := func(key refusalKey, words string) {
		e.refused(key, token, &Failure{Kind: UpstreamRefused, Cause: errors.New(words)})
	}
	expect := func(step string, lines int) {
		t.Helper()
		if got := strings.Count(log.String(), "\n"); got != lines {
			t.Errorf("%s: %d lines, want %d:\n%s", step, got, lines, &log)
		}
	}
	refuse(imap, "NO AUTHENTICATE failed.")
	expect("the first refusal", 1)
	refuse(imap, "NO AUTHENTICATE failed.")
	refuse(smtp, "535 5.7.3")
	expect("a retry, and another protocol", 1)
	e.accepted(smtp)
	refuse(smtp, "535 5.7.3")
	expect("a cause that still lasts elsewhere", 1)
	e.accepted(smtp)
	e.accepted(imap)
	refuse(imap, "NO AUTHENTICATE failed.")
	expect("the same cause, after everything worked", 2)
	cause = "scope-missing"
	refuse(imap, "NO AUTHENTICATE failed.")
	expect("another cause", 3)
	cause = ""
	refuse(imap, "NO AUTHENTICATE failed.")
	expect("an unknown cause", 3)

	if want := map[string]string{"imap": "NO AUTHENTICATE failed."}; !maps.Equal(asked[2].Others, want) {
		t.Errorf("others of smtp: %v", asked[2].Others)
	}
	if want := map[string]string{"smtp": ""}; !maps.Equal(asked[4].Others, want) {
		t.Errorf("others of imap after smtp worked: %v", asked[4].Others)
	}
	if !strings.Contains(log.String(), `account=alice protocol=imap remedy_id=wrong-audience means="the token is for Microsoft Graph" who=you remedy="remove scopes" fix="one; two"`) ||
		strings.Contains(log.String(), "a secret token") {
		t.Errorf("log:\n%s", &log)
	}
}
