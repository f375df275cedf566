package sasl

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	gosasl "github.com/emersion/go-sasl"

	"oauthproxy/internal/wire"
)

func encode(plain string) string { return base64.StdEncoding.EncodeToString([]byte(plain)) }

// client answers challenges with its lines, in turn.
type client struct {
	lines      []string
	challenges []string
}

func (c *client) ask(challenge string) ([]byte, error) {
	c.challenges = append(c.challenges, challenge)
	if len(c.lines) == 0 {
		return nil, io.EOF
	}
	line := c.lines[0]
	c.lines = c.lines[1:]
	return []byte(line), nil
}

func TestAuthenticate(t *testing.T) {
	const user, password = "alice@contoso.example", "pass word"
	const asksUser, asksPassword = "VXNlcm5hbWU6", "UGFzc3dvcmQ6"
	plain := encode("\x00" + user + "\x00" + password)
	tests := []struct {
		name       string
		mechanism  string
		initial    string // "-": none
		lines      []string
		challenges string
		want       error
		password   string
	}{
		{name: "PLAIN", mechanism: "PLAIN", initial: plain, password: password},
		{name: "PLAIN in two steps", mechanism: "plain", initial: "-", lines: []string{plain}, challenges: "|", password: password},
		{name: "PLAIN with blanks around", mechanism: "PLAIN", initial: "-", lines: []string{" " + plain + "\t"}, challenges: "|", password: password},
		{name: "PLAIN, same authorization identity", mechanism: "PLAIN", initial: encode("ALICE@contoso.example\x00" + user + "\x00" + password), password: password},
		{name: "PLAIN, other authorization identity", mechanism: "PLAIN", initial: encode("bob\x00" + user + "\x00" + password), want: ErrAuthorization},
		{name: "PLAIN, empty password", mechanism: "PLAIN", initial: encode("\x00" + user + "\x00"), password: ""},
		{name: "PLAIN, no user", mechanism: "PLAIN", initial: encode("\x00\x00" + password), want: ErrMalformed},
		{name: "PLAIN, two parts", mechanism: "PLAIN", initial: encode(user + "\x00" + password), want: ErrMalformed},
		{name: "PLAIN, four parts", mechanism: "PLAIN", initial: encode("\x00" + user + "\x00a\x00b"), want: ErrMalformed},
		{name: "PLAIN, empty response", mechanism: "PLAIN", initial: "=", want: ErrMalformed},
		{name: "PLAIN, empty line", mechanism: "PLAIN", initial: "-", lines: []string{""}, challenges: "|", want: ErrMalformed},
		{name: "PLAIN, cancelled", mechanism: "PLAIN", initial: "-", lines: []string{"*"}, challenges: "|", want: ErrCancelled},
		{name: "PLAIN, cancelled with a blank", mechanism: "PLAIN", initial: "-", lines: []string{"* "}, challenges: "|", want: ErrCancelled},
		{name: "PLAIN, * in the command is no base64", mechanism: "PLAIN", initial: "*", want: ErrEncoding},
		{name: "PLAIN, gone", mechanism: "PLAIN", initial: "-", challenges: "|", want: io.EOF},
		{name: "PLAIN without padding", mechanism: "PLAIN", initial: strings.TrimRight(encode("\x00"+user+"\x00pass"), "="), password: "pass"},
		{name: "LOGIN", mechanism: "LOGIN", initial: "-", lines: []string{encode(user), encode(password)}, challenges: asksUser + "|" + asksPassword + "|", password: password},
		{name: "LOGIN, user inline", mechanism: "login", initial: encode(user), lines: []string{encode(password)}, challenges: asksPassword + "|", password: password},
		{name: "LOGIN, = inline", mechanism: "LOGIN", initial: "=", lines: []string{encode(user), encode(password)}, challenges: asksUser + "|" + asksPassword + "|", password: password},
		{name: "LOGIN, no user", mechanism: "LOGIN", initial: "-", lines: []string{"", encode(password)}, challenges: asksUser + "|" + asksPassword + "|", want: ErrMalformed},
		{name: "LOGIN, no password", mechanism: "LOGIN", initial: encode(user), lines: []string{""}, challenges: asksPassword + "|", password: ""},
		{name: "LOGIN, NUL in the user", mechanism: "LOGIN", initial: encode("a\x00b"), lines: []string{encode(password)}, challenges: asksPassword + "|", want: ErrMalformed},
		{name: "LOGIN, NUL in the password", mechanism: "LOGIN", initial: encode(user), lines: []string{encode("a\x00b")}, challenges: asksPassword + "|", want: ErrMalformed},
		{name: "LOGIN, cancelled at the user", mechanism: "LOGIN", initial: "-", lines: []string{"*"}, challenges: asksUser + "|", want: ErrCancelled},
		{name: "LOGIN, cancelled at the password", mechanism: "LOGIN", initial: encode(user), lines: []string{"*"}, challenges: asksPassword + "|", want: ErrCancelled},
		{name: "LOGIN, bad base64", mechanism: "LOGIN", initial: encode(user), lines: []string{"pass word"}, challenges: asksPassword + "|", want: ErrEncoding},
		{name: "XOAUTH2", mechanism: "XOAUTH2", initial: "-", want: ErrMechanism},
		{name: "none", mechanism: "", initial: "-", want: ErrMechanism},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &client{lines: test.lines}
			var initial []byte
			if test.initial != "-" {
				initial = []byte(test.initial)
			}
			got, err := Authenticate(test.mechanism, initial, c.ask)
			if !errors.Is(err, test.want) {
				t.Fatalf("err = %v, want %v", err, test.want)
			}
			if challenges := strings.Join(append(c.challenges, ""), "|"); challenges != test.challenges {
				t.Errorf("challenges %q, want %q", challenges, test.challenges)
			}
			if err == nil && (got.User != user || got.Password.Reveal() != test.password) {
				t.Errorf("got %q, %q", got.User, got.Password.Reveal())
			}
			if err != nil && got != (Credentials{}) {
				t.Errorf("credentials with an error: %v", got)
			}
		})
	}
}

// The mechanisms that are offered are those that are known.
func TestMechanisms(t *testing.T) {
	for _, mechanism := range Mechanisms {
		if _, err := Authenticate(mechanism, nil, new(client).ask); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", mechanism, err)
		}
	}
}

func TestDecode(t *testing.T) {
	tests := []struct {
		text, want string
		ok         bool
	}{
		{"", "", true},
		{"YQ==", "a", true},
		{"YQ", "a", true},
		{" YWI= ", "ab", true},
		{"YWI", "ab", true},
		{"YWJj", "abc", true},
		{"YQ=", "", false},
		{"YQ===", "", false},
		{"Y", "", false},
		{"YWJj\r", "abc", true},
		{"YQ==   \r", "a", true},
		{"YW Jj", "", false},
		{"YWJj\rYWJj", "", false},
		{"YWJj\r\n", "", false},
		{"YWJ\nj", "", false},
		{"YQ==YQ==", "", false},
		{"pass-word_", "", false},
		{"=", "", false},
		{"\xff\xff\xff\xff", "", false},
	}
	for _, test := range tests {
		got, err := decode([]byte(test.text))
		if string(got) != test.want || (err == nil) != test.ok {
			t.Errorf("decode(%q) = %q, %v", test.text, got, err)
		}
	}
}

// decode takes what an encoder makes, padded or not, and nothing longer.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("YQ=="))
	f.Add([]byte("\x00alice\x00secret"))
	f.Fuzz(func(t *testing.T, text []byte) {
		padded := base64.StdEncoding.EncodeToString(text)
		for _, encoded := range []string{padded, strings.TrimRight(padded, "=")} {
			if got, err := decode([]byte(encoded)); err != nil || !bytes.Equal(got, text) {
				t.Errorf("decode(%q) = %q, %v", encoded, got, err)
			}
		}
		if got, err := decode(text); err == nil && 4*len(got) > 3*len(text) {
			t.Errorf("decode(%q) = %q", text, got)
		}
	})
}

// Whatever a client answers, credentials have a user, and no NUL.
func FuzzAuthenticate(f *testing.F) {
	f.Add("PLAIN", encode("\x00alice\x00secret"), "")
	f.Add("LOGIN", encode("alice"), encode("secret"))
	f.Add("LOGIN", "=", "*")
	f.Fuzz(func(t *testing.T, mechanism, first, second string) {
		for _, initial := range [][]byte{nil, []byte(first)} {
			got, err := Authenticate(mechanism, initial, (&client{lines: []string{first, second}}).ask)
			if err != nil {
				continue
			}
			if got.User == "" || strings.ContainsRune(got.User+got.Password.Reveal(), 0) {
				t.Errorf("user %q", got.User)
			}
		}
	})
}

// What a client says in any of the forms arrives as it is: user and password of
// any bytes but NUL.
func FuzzRoundTrip(f *testing.F) {
	f.Add("alice@contoso.example", "secret", byte(0))
	f.Add("*", "=", byte(1))
	f.Add("j\xfcrgen", " \t\r\n", byte(7))
	f.Fuzz(func(t *testing.T, user, password string, form byte) {
		if user == "" || strings.Contains(user+password, "\x00") {
			t.Skip()
		}
		encode := base64.StdEncoding.EncodeToString
		if form&1 != 0 {
			encode = base64.RawStdEncoding.EncodeToString
		}
		mechanism, first, err := clients[form>>1&1](user, password).Start()
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{encode(first), encode([]byte(password))}
		var initial []byte
		if form&4 != 0 {
			initial, lines = []byte(lines[0]), lines[1:]
		}
		got, err := Authenticate(mechanism, initial, (&client{lines: lines}).ask)
		if err != nil || got.User != user || got.Password.Reveal() != password {
			t.Errorf("%s: %q, %q, %v", mechanism, got.User, got.Password.Reveal(), err)
		}
	})
}

// clients are another library's, so that no mistake is shared.
var clients = []func(user, password string) gosasl.Client{
	func(user, password string) gosasl.Client { return gosasl.NewPlainClient("", user, password) },
	gosasl.NewLoginClient,
}

// Whatever stands in XOAUTH2's fields, a server finds those two and no other.
func FuzzXOAUTH2(f *testing.F) {
	f.Add("alice@contoso.example", "token")
	f.Add("alice\x01auth=Bearer x", "t\x01")
	f.Fuzz(func(t *testing.T, user, token string) {
		got, err := XOAUTH2(user, wire.NewSecret(token))
		if err != nil {
			return
		}
		plain, err := base64.StdEncoding.DecodeString(got.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Split(string(plain), "\x01")
		if want := []string{"user=" + user, "auth=Bearer " + token, "", ""}; !slices.Equal(fields, want) {
			t.Errorf("%q is read as %q", plain, fields)
		}
	})
}

func TestXOAUTH2(t *testing.T) {
	// The example of Google's page on XOAUTH2.
	const want = "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
	got, err := XOAUTH2("someuser@example.com", wire.NewSecret("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"))
	if err != nil || got.Reveal() != want {
		t.Errorf("XOAUTH2 = %s, %v", got.Reveal(), err)
	}
	const token = "ya29.vF9dft4"
	for _, test := range []struct{ user, token string }{
		{"alice\x01auth=Bearer other\x01\x01", token},
		{"alice\r\n", token},
		{"alice\x00", token},
		{"alice", token + "\x01"},
		{"alice", token + "\n"},
		{"alice", token + "\x7f"},
	} {
		got, err := XOAUTH2(test.user, wire.NewSecret(test.token))
		if err == nil || !got.IsEmpty() {
			t.Errorf("XOAUTH2(%q, %q) is accepted", test.user, test.token)
		} else if strings.Contains(err.Error(), token) {
			t.Errorf("the error repeats the token: %v", err)
		}
	}
}
