package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// startDevice asks for a device code by hand and returns the answer and the
// form that polls.
func startDevice(t *testing.T, s *Sandbox) (answer map[string]any, poll url.Values) {
	t.Helper()
	status, _, body := post(t, s, s.Authority()+"/oauth2/v2.0/devicecode",
		url.Values{"client_id": {s.ClientID()}, "scope": {strings.Join(mailScopes, " ")}})
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v: %s", status, err, body)
	}
	return answer, url.Values{"grant_type": {GrantDeviceCode}, "client_id": {s.ClientID()},
		"device_code": {answer["device_code"].(string)}}
}

func TestDeviceCodeAnswer(t *testing.T) {
	s := start(t, Options{})
	answer, _ := startDevice(t, s)
	if answer["expires_in"] != 900.0 || answer["interval"] != 5.0 {
		t.Errorf("expires_in %v, interval %v, want the numbers 900 and 5", answer["expires_in"], answer["interval"])
	}
	code, page := answer["user_code"].(string), answer["verification_uri"].(string)
	if len(code) != 9 || answer["message"] != "To sign in, use a web browser to open the page "+page+" and enter the code "+code+" to authenticate." {
		t.Errorf("user_code %q, message %q", code, answer["message"])
	}
	if answer["verification_uri_complete"] != nil {
		t.Error("Entra has no verification_uri_complete")
	}
	if got := s.DeviceCodes(); len(got) != 1 || got[0] != code {
		t.Errorf("DeviceCodes = %q, want %q", got, code)
	}

	other := start(t, Options{DeviceCodeLifetime: time.Minute, DeviceCodeInterval: 2 * time.Second})
	if answer, _ := startDevice(t, other); answer["expires_in"] != 60.0 || answer["interval"] != 2.0 {
		t.Errorf("expires_in %v, interval %v, want what was set", answer["expires_in"], answer["interval"])
	}
}

func TestDeviceCodeRefusals(t *testing.T) {
	s := start(t, Options{})
	form := url.Values{"client_id": {s.ClientID()}, "scope": {mailScopes[0]}}
	tests := []struct {
		name, tenant, key, value string
		code                     string
		number                   int
	}{
		{"unknown tenant", "fabrikam.example", "", "", "invalid_request", 90002},
		{"unknown client", s.TenantID(), "client_id", "x", "unauthorized_client", 700016},
		{"no scope", s.TenantID(), "scope", "", "invalid_request", 900144},
		{"two resources", s.TenantID(), "scope", mailScopes[0] + " Mail.Send", "invalid_scope", 28000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed := url.Values{"client_id": form["client_id"], "scope": form["scope"]}
			changed.Set(tt.key, tt.value)
			_, _, body := post(t, s, s.AuthorityAt(tt.tenant)+"/oauth2/v2.0/devicecode", changed)
			checkEntraError(t, body, tt.code, tt.number, "")
		})
	}
}

func TestDevicePolls(t *testing.T) {
	s := start(t, Options{})
	tests := []struct {
		name   string
		decide func(userCode string) error
		status int
		code   string
		number int
	}{
		{"pending", func(string) error { return nil }, 400, "authorization_pending", 70016},
		{"declined", s.DeclineDeviceCode, 400, "authorization_declined", 90120},
		{"expired", s.ExpireDeviceCode, 400, "expired_token", 70020},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer, poll := startDevice(t, s)
			if err := tt.decide(answer["user_code"].(string)); err != nil {
				t.Fatal(err)
			}
			status, _, body := post(t, s, tokenEndpoint(s), poll)
			checkEntraError(t, body, tt.code, tt.number, "")
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
		})
	}
	t.Run("unknown", func(t *testing.T) {
		_, poll := startDevice(t, s)
		poll.Set("device_code", "x")
		_, _, body := post(t, s, tokenEndpoint(s), poll)
		checkEntraError(t, body, "bad_verification_code", 70018, "")
	})
	t.Run("used twice", func(t *testing.T) {
		answer, poll := startDevice(t, s)
		if err := s.ApproveDeviceCode(answer["user_code"].(string), alice); err != nil {
			t.Fatal(err)
		}
		if status, _, body := post(t, s, tokenEndpoint(s), poll); status != http.StatusOK || strings.Contains(body, "refresh_token") {
			t.Errorf("status %d, or a refresh token that was not asked for", status)
		}
		_, _, body := post(t, s, tokenEndpoint(s), poll)
		checkEntraError(t, body, "invalid_grant", 54005, "")
	})
}

func TestDeviceDecisions(t *testing.T) {
	s := start(t, Options{})
	answer, _ := startDevice(t, s)
	code := answer["user_code"].(string)
	for name, err := range map[string]error{
		"unknown code":     s.ApproveDeviceCode("x", alice),
		"unknown person":   s.ApproveDeviceCode(code, "nobody@"+Domain),
		"shared mailbox":   s.ApproveDeviceCode(code, shared),
		"personal account": s.ApproveDeviceCode(code, carol),
	} {
		if err == nil {
			t.Errorf("%s: approved", name)
		}
	}
	if err := s.DeclineDeviceCode(code); err != nil {
		t.Error(err)
	}
	if err := s.ApproveDeviceCode(code, alice); err == nil {
		t.Error("approved after it was declined")
	}
}

func TestPollsTooFast(t *testing.T) {
	for name, slow := range map[string]bool{"counted": false, "answered": true} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{SlowDown: slow, DeviceCodeInterval: time.Hour})
			answer, poll := startDevice(t, s)
			want := []string{"authorization_pending", "authorization_pending", "authorization_pending"}
			if slow {
				want = []string{"authorization_pending", "slow_down", "slow_down"}
			}
			for _, code := range want {
				_, _, body := post(t, s, tokenEndpoint(s), poll)
				checkEntraError(t, body, code, 70016, "")
			}
			if got := s.DeviceCodePollsTooFast(); got != 2 {
				t.Errorf("%d polls were too fast, want 2", got)
			}
			if err := s.ApproveDeviceCode(answer["user_code"].(string), alice); err != nil {
				t.Fatal(err)
			}
			if status, _, _ := post(t, s, tokenEndpoint(s), poll); status != http.StatusOK {
				t.Errorf("status %d after the approval", status)
			}
		})
	}
}

// TestDevicePage enters codes as a person does.
func TestDevicePage(t *testing.T) {
	s := start(t, Options{})
	answer, _ := startDevice(t, s)
	page := answer["verification_uri"].(string)
	body := getText(t, s, page)
	for _, want := range []string{`name="user_code"`, alice, carol} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(body, shared) {
		t.Error("a shared mailbox is offered")
	}
	code := strings.ToLower(answer["user_code"].(string))
	tests := []struct {
		name string
		form url.Values
		want string
	}{
		{"wrong code", url.Values{"user_code": {"<x>"}, "account": {alice}}, "no sign-in has the code &lt;x&gt;"},
		{"unknown account", url.Values{"user_code": {code}, "other": {"nobody@" + Domain}}, "nobody signs in as nobody@"},
		{"right", url.Values{"user_code": {" " + code + " "}, "other": {bob}}, "You have signed in."},
		{"declined too late", url.Values{"user_code": {code}, "decline": {"yes"}}, "already used or declined"},
	}
	for _, tt := range tests {
		if _, _, body := post(t, s, page, tt.form); !strings.Contains(body, tt.want) {
			t.Errorf("%s: %s", tt.name, body)
		}
	}
	answer, _ = startDevice(t, s)
	_, _, body = post(t, s, page, url.Values{"user_code": {answer["user_code"].(string)}, "decline": {"yes"}})
	if !strings.Contains(body, "You have declined") {
		t.Errorf("declined: %s", body)
	}
}

func TestAutoApprove(t *testing.T) {
	s := start(t, Options{AutoApprove: alice})
	_, poll := startDevice(t, s)
	if status, _, _ := post(t, s, tokenEndpoint(s), poll); status != http.StatusOK {
		t.Errorf("status %d, want a token at once", status)
	}
	if _, err := Start(Options{AutoApprove: shared}); err == nil {
		t.Error("Start took an address that nobody signs in with")
	}
}
