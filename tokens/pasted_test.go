package tokens

import (
	"net/url"
	"strings"
	"testing"
)

func TestPasted(t *testing.T) {
	tests := []struct {
		name string
		form string // REDIRECT and STATE are put in
	}{
		{"whole address", "REDIRECT/?code=" + testCode + "&state=STATE&session_state=x#"},
		{"query alone", "code=" + testCode + "&state=STATE"},
		{"query with its mark", "?state=STATE&code=" + testCode},
		{"in quotes, broken into lines", " \"REDIRECT/?code=" + testCode + "\r\n &state=STATE\" \n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := browserHouse()
			b := h.open(t)
			defer b.Close()
			p := &person{pasted: make(chan string, 1), again: func(reason string) { t.Errorf("asked again: %s", reason) }}
			p.address = func(address string) { p.pasted <- filledIn(test.form, asked(t, address)) }
			if _, err := b.SignIn(t.Context(), testAccount, p); err != nil {
				t.Fatal(err)
			}
			if h.sent("code") != testCode {
				t.Error("another code was redeemed")
			}
		})
	}
}

// filledIn is what a person pastes, with the values of the sign-in.
func filledIn(form string, query url.Values) string {
	return strings.NewReplacer("REDIRECT", query.Get("redirect_uri"), "STATE", query.Get("state")).Replace(form)
}

// A refusal by Entra ID ends the sign-in, pasted or not.
func TestPastedRefusal(t *testing.T) {
	h := browserHouse()
	b := h.open(t)
	defer b.Close()
	p := &person{pasted: make(chan string, 1)}
	p.address = func(address string) {
		p.pasted <- filledIn("error=access_denied&error_description=AADSTS65004%3A+declined&state=STATE", asked(t, address))
	}
	wantRefusedSignIn(t, b, p, PersonNeeded, "consent was declined")
}

// Whatever else is pasted is told, and the sign-in goes on.
func TestPastedAgain(t *testing.T) {
	const otherSignIn, noAnswer = "it belongs to another sign-in: use the address that was shown last", "it isn't the address where signing in ended"
	tests := []struct{ name, text, reason string }{
		{"an empty line", "\n", ""},
		{"another sign-in's", "REDIRECT/?code=" + testCode + "&state=other", otherSignIn},
		{"another sign-in's refusal", "error=access_denied&error_description=AADSTS65004&state=other", otherSignIn},
		{"no state", "code=" + testCode, otherSignIn},
		{"a state alone", "state=STATE", noAnswer},
		{"the address to sign in at", "https://login.example/authorize?client_id=x&state=STATE", noAnswer},
		{"no address", "what now?", noAnswer},
		{"no text", "\x00\xff\x1b[31m", noAnswer},
		{"too long", strings.Repeat("x", 2*maxRedirect), noAnswer},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := browserHouse()
			b := h.open(t)
			defer b.Close()
			var reasons []string
			p := &person{pasted: make(chan string, 2)}
			p.again = func(reason string) { reasons = append(reasons, reason) }
			p.address = func(address string) {
				query := asked(t, address)
				p.pasted <- filledIn(test.text, query)
				p.pasted <- yes(query).Encode()
			}
			if _, err := b.SignIn(t.Context(), testAccount, p); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(reasons, "\n"); (test.reason == "") != (got == "") || !strings.HasPrefix(got, test.reason) || len(reasons) > 1 {
				t.Errorf("told %q, want %q", got, test.reason)
			}
			if h.sent("code") != testCode {
				t.Error("another code was redeemed")
			}
		})
	}
}

// A terminal hands over an address that a mail has broken into lines one by one.
func TestPastedInLines(t *testing.T) {
	h := browserHouse()
	b := h.open(t)
	defer b.Close()
	p := &person{pasted: make(chan string, 9)}
	p.address = func(address string) {
		whole := filledIn("REDIRECT/?code="+testCode+"&state=STATE", asked(t, address))
		for _, line := range []string{"hello", "http://localhost:1/?code=of&state=yesterday", whole[:20], whole[20:50], whole[50:]} {
			p.pasted <- line
		}
	}
	if _, err := b.SignIn(t.Context(), testAccount, p); err != nil {
		t.Fatal(err)
	}
	if h.sent("code") != testCode {
		t.Error("another code was redeemed")
	}
}

// A clipboard that closes leaves the listener.
func TestPastedCloses(t *testing.T) {
	h := browserHouse()
	b := h.open(t)
	defer b.Close()
	p := &person{pasted: make(chan string)}
	close(p.pasted)
	p.address = func(address string) {
		query := asked(t, address)
		go browse(t, query.Get("redirect_uri"), visit{"GET", "/", yes(query)})
	}
	if _, err := b.SignIn(t.Context(), testAccount, p); err != nil {
		t.Error(err)
	}
}
