package accounts

import "testing"

func TestAllowsRecipient(t *testing.T) {
	rules := &Sending{AllowRecipients: []string{"@contoso.com", "Boss@fabrikam.example", "@ümlaut.example"}}
	tests := []struct {
		address string
		want    bool
	}{
		{"alice@contoso.com", true},
		{"ALICE@Contoso.COM", true},
		{"boss@fabrikam.example", true},
		{"x@ÜMLAUT.example", true},
		{"other@fabrikam.example", false},
		{"alice@sub.contoso.com", false},
		{"alice@contoso.com.evil.example", false},
		{"alice@evil.example@contoso.com", false},
		{"alice%evil.example@contoso.com", false},
		{"evil.example!alice@contoso.com", false},
		{"@evil.example:alice@contoso.com", false},
		{`"alice@evil.example"@contoso.com`, false},
		{"contoso.com", false},
		{"@contoso.com", false},
		{"postmaster", false},
		{"", false},
	}
	for _, test := range tests {
		if got := rules.AllowsRecipient(test.address); got != test.want {
			t.Errorf("%q: got %v, want %v", test.address, got, test.want)
		}
	}
	if !rules.AllowsSender("anybody@anywhere.example") || !rules.AllowsSender("") {
		t.Error("without a list of senders not all are allowed")
	}
	var none *Sending
	if !none.AllowsSender("x") || !none.AllowsRecipient("y@z") {
		t.Error("no rules, and yet somebody isn't allowed")
	}
}
