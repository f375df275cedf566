package tokens

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// deviceHouse is a house whose app uses device codes: one that lives for 15
// minutes, to be polled for every five seconds.
func deviceHouse() *house {
	h := newHouse()
	h.app = h.personApp(FlowDeviceCode)
	h.serve("/"+testTenant+"/oauth2/v2.0/devicecode", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, 200, map[string]any{
			"user_code": "F6KXAB2QT", "device_code": testDevice, "verification_uri": "https://microsoft.com/devicelogin",
			"expires_in": 900, "interval": 5, "message": "To sign in, use a web browser",
		})
	})
	return h
}

var pending = refusal(400, "authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending. Continue polling.")

// polls answers the polls one after the other; the last answer goes on.
type polls struct {
	answers []http.HandlerFunc
	times   []time.Time
}

func (p *polls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.times = append(p.times, time.Now())
	p.answers[min(len(p.times), len(p.answers))-1](w, r)
}

// pauses are the times between the polls, after begin.
func (p *polls) pauses(begin time.Time) []time.Duration {
	var pauses []time.Duration
	for _, at := range p.times {
		pauses = append(pauses, at.Sub(begin).Round(time.Second))
		begin = at
	}
	return pauses
}

func TestDeviceCode(t *testing.T) {
	slower := refusal(400, "slow_down", 0, "")
	yes := alice.grant(testToken, testRefresh, 4500)
	seconds := func(all ...int) (pauses []time.Duration) {
		for _, s := range all {
			pauses = append(pauses, time.Duration(s)*time.Second)
		}
		return pauses
	}
	tests := []struct {
		name    string
		answers []http.HandlerFunc
		pauses  []time.Duration
	}{
		{"at once", []http.HandlerFunc{yes}, seconds(5)},
		{"after a while", []http.HandlerFunc{pending, pending, pending, yes}, seconds(5, 5, 5, 5)},
		{"slow_down adds five seconds for good", []http.HandlerFunc{pending, slower, pending, slower, yes}, seconds(5, 5, 10, 10, 15)},
		{"503 and a reset", []http.HandlerFunc{plain(503, "down"), cut, pending, yes}, seconds(5, 10, 20, 5)},
		{"429 with Retry-After", []http.HandlerFunc{plain(429, "", "Retry-After", "30"), yes}, seconds(5, 30)},
		{"a hang", []http.HandlerFunc{hang, yes}, seconds(5, 40)}, // 30 until it is given up
		{"an outage of minutes", []http.HandlerFunc{plain(500, ""), plain(500, ""), plain(500, ""), plain(500, ""), plain(500, ""), pending, yes}, seconds(5, 10, 20, 40, 60, 60, 5)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, polls := deviceHouse(), &polls{answers: test.answers}
				h.answer(polls.ServeHTTP)
				b := h.open(t)
				defer b.Close()
				begin, dialog := time.Now(), &person{}
				status, err := b.SignIn(t.Context(), testAccount, dialog)
				if err != nil || status.SignedInAs != testPerson {
					t.Fatalf("%+v, %v", status, err)
				}
				code := dialog.codes[0]
				if len(dialog.codes) != 1 || code.UserCode != "F6KXAB2QT" || code.URL != "https://microsoft.com/devicelogin" || code.Expires.Sub(begin) != 15*time.Minute {
					t.Errorf("shown: %+v", dialog.codes)
				}
				if got := polls.pauses(begin); fmtAll(got) != fmtAll(test.pauses) {
					t.Errorf("pauses %v, want %v", got, test.pauses)
				}
				if h.sent("device_code") != testDevice {
					t.Error("another device code was sent")
				}
				wantToken(t, b, testToken)
			})
		})
	}
}

// cut is a connection that ends without an answer; in process, that is an
// answer cut short.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cut", "1")
}

func TestDeviceCodeEnds(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		class  Class
		words  string
	}{
		{"declined", refusal(400, "authorization_declined", 0, ""), PersonNeeded, "the sign-in was declined"},
		{"expired by the server", refusal(400, "expired_token", 0, "The code has expired."), PersonNeeded, "wasn't entered in time"},
		{"expired, with a number", refusal(400, "expired_token", 70020, "This device code has expired."), PersonNeeded, "wasn't entered in time"},
		{"expired here", pending, PersonNeeded, "wasn't entered in time"},
		{"unknown code", refusal(400, "bad_verification_code", 0, ""), PersonNeeded, "doesn't know the code"},
		{"forbidden by policy", refusal(400, "invalid_grant", 530036, "Blocked."), AdministratorNeeded, "a policy forbids sign-in by device code (AADSTS530036): use the flow browser"},
		{"blocked by policy", refusal(400, "access_denied", 53003, "Blocked by Conditional Access."), AdministratorNeeded, "a Conditional Access policy blocks this sign-in (AADSTS53003)"},
		{"not assigned", refusal(400, "authorization_declined", 50105, "Not assigned."), AdministratorNeeded, "AADSTS50105"},
		{"declined, with a number", refusal(400, "authorization_declined", 65004, "User declined to consent."), PersonNeeded, "the sign-in was declined"},
		{"not a public client", refusal(401, "invalid_client", 7000218, "The request body must contain client_secret."), SetUpWrong, "Allow public client flows to Yes"},
		{"an outage until the code ends", plain(503, "down"), PersonNeeded, "wasn't entered in time"},
		{"garbage", plain(200, "<html>hotel</html>"), TryLater, "not one of Entra ID's"},
		{"another person", identity{"bob@x", "b0b", testTenantID}.grant("b", "b", 4500), PersonNeeded, "bob@x signed in"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := deviceHouse()
				h.answer(test.answer)
				b := h.open(t)
				defer b.Close()
				begin := time.Now()
				wantRefusedSignIn(t, b, &person{}, test.class, test.words)
				if took := time.Since(begin); took > 15*time.Minute {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func deviceAnswer(address string, seconds int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, 200, map[string]any{
			"user_code": "ABCD-EFGH", "device_code": testDevice, "verification_uri": address, "expires_in": seconds,
		})
	}
}

// A code isn't waited for longer than Entra ID's are good.
func TestDeviceCodeForYears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := deviceHouse()
		h.serve("/"+testTenant+"/oauth2/v2.0/devicecode", deviceAnswer("https://login.example/device", 1e8))
		h.answer(pending)
		b := h.open(t)
		defer b.Close()
		begin, dialog := time.Now(), &person{}
		wantRefusedSignIn(t, b, dialog, PersonNeeded, "wasn't entered in time")
		if took := time.Since(begin); took != deviceCodeTimeout || !dialog.codes[0].Expires.Equal(begin.Add(deviceCodeTimeout)) {
			t.Errorf("it took %v, and the code was good until %v", took, dialog.codes[0].Expires)
		}
	})
}

func TestDeviceCodeIsRefused(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"by the number":      refusal(400, "invalid_client", 7000218, "Not a public client."),
		"by an outage":       plain(503, "down"),
		"by a hang":          hang,
		"by an empty reply":  plain(200, ""),
		"by a plain address": deviceAnswer("http://login.example/device", 900),
		"by a script":        deviceAnswer("javascript:alert(1)", 900),
		"by a relative name": deviceAnswer("/device", 900),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := deviceHouse()
				h.serve("/"+testTenant+"/oauth2/v2.0/devicecode", answer)
				b := h.open(t)
				defer b.Close()
				dialog := &person{}
				if _, err := b.SignIn(t.Context(), testAccount, dialog); err == nil || len(dialog.codes) != 0 {
					t.Errorf("got %v, shown %v", err, dialog.codes)
				}
				wantRequests(t, h.entra, 0)
			})
		})
	}
}

func TestPersonLeavesTheDeviceCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := deviceHouse()
		h.answer(pending)
		b := h.open(t)
		defer b.Close()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		_, err := b.SignIn(ctx, testAccount, &person{})
		if err == nil || !strings.Contains(err.Error(), "the sign-in was given up") {
			t.Errorf("got %v", err)
		}
		requests := h.requests()
		time.Sleep(time.Hour)
		wantRequests(t, h.entra, requests)
	})
}

// MSAL would ask a tenant "devicecode-co.example" instead.
func TestTenantWithTokenInItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := deviceHouse()
		const tenant = "/token-co.example"
		h.app.Authority = "https://" + h.host + tenant
		h.serve(tenant+"/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, 200, map[string]any{
				"issuer": h.app.Authority + "/v2.0", "authorization_endpoint": h.app.Authority + "/oauth2/v2.0/authorize",
				"token_endpoint": h.app.Authority + "/oauth2/v2.0/token",
			})
		})
		h.serve(tenant+"/oauth2/v2.0/devicecode", h.others["/"+testTenant+"/oauth2/v2.0/devicecode"])
		h.serve(tenant+"/oauth2/v2.0/token", alice.grant(testToken, testRefresh, 4500))
		b := h.open(t)
		defer b.Close()
		if _, err := b.SignIn(t.Context(), testAccount, &person{}); err != nil {
			t.Error(err)
		}
	})
}

// What Entra ID sends to be shown can't write into a terminal.
func TestDeviceCodeIsSafeToShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := deviceHouse()
		h.serve("/"+testTenant+"/oauth2/v2.0/devicecode", func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, 200, map[string]any{
				"user_code": "A\x1b[2J\nB", "device_code": testDevice, "verification_uri": "https://x/\x1b[2J\n" + strings.Repeat("y", 5000), "expires_in": 60,
			})
		})
		h.answer(alice.grant(testToken, testRefresh, 4500))
		b := h.open(t)
		defer b.Close()
		dialog := &person{}
		if _, err := b.SignIn(t.Context(), testAccount, dialog); err != nil {
			t.Fatal(err)
		}
		code := dialog.codes[0]
		if strings.ContainsAny(code.URL+code.UserCode, "\x1b\n") || len(code.URL) > maxAddress {
			t.Errorf("shown: %q", code)
		}
	})
}
