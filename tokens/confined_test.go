package tokens

import "testing"

func TestIsHome(t *testing.T) {
	tests := []struct {
		host, authority string
		want            bool
	}{
		{"login.microsoftonline.com", "https://login.microsoftonline.com/contoso.com", true},
		{"Login.MicrosoftOnline.com", "https://login.microsoftonline.com/contoso.com", true},
		{"login.microsoftonline.us", "https://login.microsoftonline.com/contoso.com", true},
		{"login.partner.microsoftonline.cn", "https://login.partner.microsoftonline.cn/contoso.com", true},
		{"login.corp.example", "https://login.corp.example:443/contoso.com", true},
		{"login.corp.example:8443", "https://login.corp.example:8443/contoso.com", true},
		{"login.corp.example", "https://login.corp.example:8443/contoso.com", false},
		{"evil.example", "https://login.microsoftonline.com/contoso.com", false},
		{"login.microsoftonline.com.evil.example", "https://login.microsoftonline.com/contoso.com", false},
		{"evil-login.microsoftonline.com", "https://login.microsoftonline.com/contoso.com", false},
		{"login.microsoftonline.com:444", "https://login.microsoftonline.com/contoso.com", false},
		{"localhost:8443", "https://127.0.0.1:8443/contoso.com", true},
		{"127.0.0.1:9443", "https://[::1]:8443/contoso.com", true},
		{"localhost:8443", "https://login.microsoftonline.com/contoso.com", false},
		{"localhost.evil.example", "https://localhost/contoso.com", false},
		{"", "https://login.microsoftonline.com/contoso.com", false},
	}
	for _, test := range tests {
		if got := isHome(test.host, test.authority); got != test.want {
			t.Errorf("%s for %s: %v", test.host, test.authority, got)
		}
	}
}
