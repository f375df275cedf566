package tokens

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/wire"
)

// traces returns every piece of a secret that may stand in no log: eight
// bytes of it, plain, URL-encoded or in base64.
func traces(secret string) []string {
	forms := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret)),
	}
	var found []string
	for _, form := range forms {
		for i := range len(form) - 7 {
			found = append(found, form[i:i+8])
		}
	}
	return found
}

func wantNoTrace(t *testing.T, where, text string) {
	t.Helper()
	for _, secret := range []string{testSecret, testToken, testRefresh, testPassword, testCode, testDevice} {
		for _, trace := range traces(secret) {
			if strings.Contains(text, trace) {
				t.Errorf("%s holds a part of a secret", where)
				return
			}
		}
	}
}

// Answers that repeat what the server was sent, or hold a token in a place
// that goes wrong: no log line and no error shows either.
func TestNoSecretIsShown(t *testing.T) {
	both := testSecret + " " + testToken
	encoded := url.QueryEscape(testSecret) + " " + base64.StdEncoding.EncodeToString([]byte(testSecret))
	tests := map[string]http.HandlerFunc{
		"token":                     grant(testToken, 4500),
		"token that has ended":      grant(testToken, 0),
		"no expires_in":             plain(200, `{"access_token":"`+testToken+`","client_secret":"`+testSecret+`"}`),
		"truncated":                 plain(200, `{"expires_in":4500,"access_token":"`+testToken),
		"declined scope":            plain(200, `{"expires_in":4500,"access_token":"`+testToken+`","scope":"`+testToken+`"}`),
		"error beside a token":      plain(200, `{"expires_in":4500,"access_token":"`+testToken+`","error":"`+testSecret+`"}`),
		"plain text":                plain(400, both),
		"plain text, 500":           plain(500, both),
		"header":                    plain(429, both, "Retry-After", testSecret),
		"redirect":                  plain(307, "", "Location", "https://elsewhere.example/?"+both),
		"status line":               statusLine("HTTP/1.1 " + both + "\r\n\r\n"),
		"not HTTP":                  statusLine(both + "\r\n\r\n"),
		"header line":               statusLine("HTTP/1.1 200 OK\r\n" + both + "\r\n\r\n"),
		"known code":                refusal(401, "invalid_client", 7000215, "Invalid secret "+both),
		"unknown code":              refusal(401, "invalid_client", 4711, both),
		"unknown code, encoded":     refusal(401, "invalid_client", 4711, encoded),
		"unknown code, token alone": refusal(401, "invalid_client", 4711, testToken),
		"second sentence":           refusal(401, "invalid_client", 4711, "Something new is wrong. "+both),
		"name of the error":         refusal(401, testSecret, 0, ""),
		"name of the error, token":  refusal(401, testToken, 0, ""),
		"trace ID":                  plain(401, `{"error":"invalid_client","trace_id":"`+testSecret+`","correlation_id":"`+testToken+`"}`),
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			e, log := newEntra(), &logBuffer{}
			b := newTestBroker(t, e, e.listen(t), log)
			e.answer(answer)
			token, err := b.Token(t.Context(), testAccount)
			log.logger().Error("shown", "token", token, "error", err, "whole", fmt.Sprintf("%+v %#v", token, err))
			for ; err != nil; err = errors.Unwrap(err) {
				wantNoTrace(t, "the error", fmt.Sprintf("%v %+v %#v %q", err, err, err, err))
			}
			_ = b.Refused(t.Context(), testAccount, token.Value)
			b.Close()
			wantNoTrace(t, "the log", log.String())
			if e.requests() > 2 || !strings.Contains(log.String(), testAccount) {
				t.Errorf("%d requests, log: %s", e.requests(), log)
			}
		})
	}
}

// statusLine answers with raw bytes.
func statusLine(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = conn.Write([]byte(raw))
		_ = conn.Close()
	}
}

// The same for all that the broker logs in a long life with good and bad days.
func TestLongLifeShowsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, log := newEntra(), &logBuffer{}
		b := newTestBroker(t, e, e.client(), log)
		defer b.Close()
		for range 20 {
			for _, answer := range []http.HandlerFunc{grant(testToken, 4500), plain(500, testToken), refusal(401, "invalid_client", 4711, testSecret), hang} {
				e.answer(answer)
				_, _ = b.Token(t.Context(), testAccount)
				_ = b.Refused(t.Context(), testAccount, wire.NewSecret(testToken))
				time.Sleep(20 * time.Minute)
			}
		}
		b.Close()
		wantNoTrace(t, "the log", log.String())
		for _, want := range []string{"access token obtained", "the upstream refused the access token", "no new access token"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q", want)
			}
		}
	})
}

// The same for a person's sign-in, by each flow, and for its renewal.
func TestNoSecretOfAPersonIsShown(t *testing.T) {
	for _, flow := range []Flow{FlowPassword, FlowDeviceCode, FlowBrowser} {
		for name, answer := range answersWithSecrets(flow) {
			t.Run(name+" "+string(flow), func(t *testing.T) {
				if flow == FlowBrowser { // which has a listener
					signInAndShowAll(t, flow, answer)
				} else {
					synctest.Test(t, func(t *testing.T) { signInAndShowAll(t, flow, answer) })
				}
			})
		}
	}
}

// answersWithSecrets repeat what the flow has sent, in places where it isn't
// expected.
func answersWithSecrets(flow Flow) map[string]http.HandlerFunc {
	tokens := testRefresh + " " + testToken + " " + testCode + " " + testDevice
	sent := map[Flow]string{FlowPassword: testPassword, FlowDeviceCode: testDevice, FlowBrowser: testCode}[flow]
	data, _ := json.Marshal(alice.answer(testToken, testRefresh, 4500))
	body := string(data)
	return map[string]http.HandlerFunc{
		"good":                alice.grant(testToken, testRefresh, 4500),
		"another person":      identity{tokens, "x", testTenantID}.grant(testToken, testRefresh, 4500),
		"another tenant":      identity{testPerson, "x", tokens}.grant(testToken, testRefresh, 4500),
		"truncated":           plain(200, body[:len(body)-1]),
		"no expires_in":       plain(200, strings.ReplaceAll(body, "expires_in", "expires")),
		"declined scope":      plain(200, strings.ReplaceAll(body, mailScope, testToken)),
		"bad ID token":        plain(200, `{"expires_in":1,"id_token":"`+testRefresh+`","access_token":"`+testToken+`"}`),
		"unknown code":        refusal(400, "invalid_grant", 4711, tokens+" "+sent),
		"unknown code, alone": refusal(400, "invalid_grant", 4711, sent),
		"unknown error":       refusal(400, sent, 0, ""),
		"error in the grant":  plain(200, strings.Replace(body, "{", `{"error":"`+testRefresh+`",`, 1)),
	}
}

func signInAndShowAll(t *testing.T, flow Flow, answer http.HandlerFunc) {
	h := deviceHouse()
	h.app.Flow = flow
	h.answer(answer)
	b := h.open(t)
	defer b.Close()
	pages := make(chan string, 1)
	dialog := &person{password: wire.NewSecret(testPassword), address: func(address string) {
		query := asked(t, address)
		go func() {
			_, text := browse(t, query.Get("redirect_uri"), visit{"GET", "/", yes(query)})
			pages <- text
		}()
	}}
	status, err := b.SignIn(t.Context(), testAccount, dialog)
	token, tokenErr := b.Token(t.Context(), testAccount)
	_ = b.Refused(t.Context(), testAccount, token.Value)
	_, again := b.Token(t.Context(), testAccount)
	h.log.logger().Error("shown", "status", status, "error", err, "token", token, "again", again, "all", b.Accounts())
	for _, shown := range []any{status, err, token, tokenErr, again, b.Accounts()} {
		wantNoTrace(t, "what is shown", fmtAll(shown))
	}
	if flow == FlowBrowser {
		wantNoTrace(t, "the page", <-pages)
	}
	b.Close()
	wantNoTrace(t, "the log", h.log.String())
}
