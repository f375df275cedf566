package sandbox

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// refreshForm is a request with that refresh token.
func refreshForm(s *Sandbox, token string) url.Values {
	return url.Values{"grant_type": {GrantRefreshToken}, "client_id": {s.ClientID()}, "refresh_token": {token}}
}

func TestRotation(t *testing.T) {
	s := start(t, Options{})
	first := redeem(t, s, newCodeForm(t, s, nil))["refresh_token"].(string)
	second := redeem(t, s, refreshForm(s, first))
	if second["refresh_token"] == first {
		t.Error("the refresh token did not change")
	}
	if second["scope"] != strings.Join(mailScopes, " ") || second["id_token"] == nil {
		t.Errorf("scope %q, id_token %v, want what was signed in for", second["scope"], second["id_token"])
	}
	redeem(t, s, refreshForm(s, first)) // is still good
	redeem(t, s, refreshForm(s, second["refresh_token"].(string)))
}

func TestRefreshForOtherScopes(t *testing.T) {
	s := start(t, Options{})
	form := newCodeForm(t, s, url.Values{"scope": {"offline_access https://outlook.office.com/SMTP.Send"}})
	refresh := refreshForm(s, redeem(t, s, form)["refresh_token"].(string))
	refresh.Set("scope", "https://outlook.office.com/IMAP.AccessAsUser.All offline_access")
	token := redeem(t, s, refresh)["access_token"].(string)
	claims := decodePart(t, strings.Split(token, ".")[1])
	if claims["scp"] != "IMAP.AccessAsUser.All" {
		t.Errorf("scp = %v, want what was asked", claims["scp"])
	}
	refresh.Set("scope", "https://graph.microsoft.com/Mail.Send")
	token = redeem(t, s, refresh)["access_token"].(string)
	if claims := decodePart(t, strings.Split(token, ".")[1]); claims["aud"] != "https://graph.microsoft.com" {
		t.Errorf("aud = %v, want the resource that was asked", claims["aud"])
	}
}

func TestRefreshRefusals(t *testing.T) {
	for _, number := range []int{50173, 700082, 70043, 65001, 50076, 53003} {
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			s := start(t, Options{})
			token := redeem(t, s, newCodeForm(t, s, nil))["refresh_token"].(string)
			s.EndSignIns(bob, number)
			redeem(t, s, refreshForm(s, token)) // bob's sign-ins are not alice's
			s.EndSignIns(alice, number)
			_, _, body := post(t, s, tokenEndpoint(s), refreshForm(s, token))
			e := findEntraError(number)
			checkEntraError(t, body, "invalid_grant", number, "")
			if e.sub == "" || !strings.Contains(body, `"suberror":"`+e.sub+`"`) {
				t.Errorf("no suberror %q in %s", e.sub, body)
			}
			again := redeem(t, s, newCodeForm(t, s, nil))["refresh_token"].(string)
			redeem(t, s, refreshForm(s, again))
		})
	}
	t.Run("unknown token", func(t *testing.T) {
		s := start(t, Options{})
		_, _, body := post(t, s, tokenEndpoint(s), refreshForm(s, "x"))
		checkEntraError(t, body, "invalid_grant", 9002313, "")
	})
	t.Run("unused", func(t *testing.T) {
		s := start(t, Options{RefreshTokenLifetime: time.Nanosecond})
		token := redeem(t, s, newCodeForm(t, s, nil))["refresh_token"].(string)
		_, _, body := post(t, s, tokenEndpoint(s), refreshForm(s, token))
		checkEntraError(t, body, "invalid_grant", 700082, "90.00:00:00")
	})
	t.Run("other tenant", func(t *testing.T) {
		s := start(t, Options{})
		token := redeem(t, s, newCodeForm(t, s, nil))["refresh_token"].(string)
		_, _, body := post(t, s, s.AuthorityAt("consumers")+"/oauth2/v2.0/token", refreshForm(s, token))
		checkEntraError(t, body, "invalid_grant", 700005, "")
	})
	t.Run("two resources", func(t *testing.T) {
		s := start(t, Options{})
		form := refreshForm(s, "x")
		form.Set("scope", mailScopes[0]+" User.Read")
		_, _, body := post(t, s, tokenEndpoint(s), form)
		checkEntraError(t, body, "invalid_scope", 28000, "")
	})
}
