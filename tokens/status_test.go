package tokens

import "testing"

func TestCommandLine(t *testing.T) {
	for account, want := range map[string]string{
		"alice+x_y-z@contoso.com": "oauthproxy login alice+x_y-z@contoso.com",
		"o'brien@contoso.com":     `oauthproxy login 'o'\''brien@contoso.com'`,
		"-x@contoso.com":          "oauthproxy login -- -x@contoso.com",
		"-$(x)@contoso.com":       "oauthproxy login -- '-$(x)@contoso.com'",
		"j\u00f6rg@contoso.com":   "oauthproxy login 'j\u00f6rg@contoso.com'",
	} {
		if got := CommandLine("login", account); got != want {
			t.Errorf("%s: %s, want %s", account, got, want)
		}
	}
}
