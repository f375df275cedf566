package accounts

import (
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"oauthproxy/internal/wire"
)

// foreignHashes were made by other programs.
var foreignHashes = []struct{ name, password, hash string }{
	{"argon2 command, our parameters", "correct horse", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$YcJRdAHXGYvVS9oxrmGE2PWNls1pxO2wCxHyCPxEXAY"},
	{"argon2 command, four lanes", `pa$$ "wörd\ `, "$argon2id$v=19$m=4096,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$RndvI1gpV21cSuNpRWUbj7iynKUJVqjEH/yu8ujljPI"},
	{"argon2 command, short key", "x", "$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHQ$rMPV68+USsULl8QpsIqrUA"},
	{"passlib argon2", "correct horse", "$argon2id$v=19$m=1024,t=2,p=1$k9L6fy9lrJWSEiLkPAfA+A$3lgjvta7cSexfXjko4gZWQ"},
	{"argon2-cffi", "latin ü", "$argon2id$v=19$m=64,t=1,p=1$UiZlTOq6+LARZVHstD/uFw$V0LbgnA5M671RBicQEHOIg"},
	{"htpasswd -B", "correct horse", "$2y$05$pzqrhcGYd2tqQXJJWTDYD.fkq.qm12ETa4FCgbwJUjkrt/LYhhUO."},
	{"htpasswd -B, UTF-8", "wörd", "$2y$04$8I3N.9P9DOGtqou3YEr5.ujQI6PTQCFJ4YtuXs8FIIDJX6qlUL9AS"},
	{"crypt(3) 2b", "correct horse", "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"},
	{"crypt(3) 2a", "correct horse", "$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"},
}

func TestForeignHashes(t *testing.T) {
	for _, test := range foreignHashes {
		t.Run(test.name, func(t *testing.T) {
			h, err := parseHash(test.hash)
			if err != nil {
				t.Fatal(err)
			}
			if !h.matches(test.password) {
				t.Error("the right password doesn't match")
			}
			for _, wrong := range []string{"", test.password + " ", strings.ToUpper(test.password), test.password[1:]} {
				if h.matches(wrong) {
					t.Errorf("a wrong password matches: %q", wrong)
				}
			}
		})
	}
}

func TestHash(t *testing.T) {
	password := wire.NewSecret(`blanks and "quotes" \ ü`)
	first, err := Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	if first == second {
		t.Error("two hashes of one password are the same: no salt")
	}
	form := regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`)
	if !form.MatchString(first) {
		t.Errorf("unexpected form: %s", first)
	}
	h, err := parseHash(first)
	if err != nil {
		t.Fatal(err)
	}
	if !h.matches(password.Reveal()) || h.matches("another") {
		t.Error("the hash doesn't tell right from wrong")
	}
	if _, err := Hash(wire.NewSecret("")); err == nil {
		t.Error("an empty password was hashed")
	}
}

func TestCheckHash(t *testing.T) {
	const tail = "$c2FsdHNhbHQ$rMPV68+USsULl8QpsIqrUA"
	tests := []struct{ name, hash, want string }{
		{"most that is allowed", "$argon2id$v=19$m=262144,t=16,p=16" + tail, ""},
		{"empty", "", "not a password hash"},
		{"a password in the wrong place", "hunter2", "not a password hash"},
		{"sha512-crypt", "$6$salt$hash", "not a password hash"},
		{"htpasswd line", "copier:$2y$05$pzqrhcGYd2tqQXJJWTDYD.fkq.qm12ETa4FCgbwJUjkrt/LYhhUO.", "user name"},
		{"argon2i", "$argon2i$v=19$m=64,t=1,p=2" + tail, "only the argon2id kind"},
		{"old version", "$argon2id$v=16$m=64,t=1,p=2" + tail, "only version 19"},
		{"no version", "$argon2id$m=64,t=1,p=2" + tail, "incomplete"},
		{"cut off", "$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHQ", "incomplete"},
		{"cut in the key", "$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHQ$rMPV68+", "damaged"},
		{"key short", "$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHQ$rMPV68+U", "6 bytes long"},
		{"key long", "$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHQ$" + strings.Repeat("AAAA", 22), "66 bytes long"},
		{"salt short", "$argon2id$v=19$m=64,t=1,p=2$c2Fs$rMPV68+USsULl8QpsIqrUA", "salt of 3 bytes"},
		{"salt long", "$argon2id$v=19$m=64,t=1,p=2$" + strings.Repeat("AAAA", 22) + "$rMPV68+USsULl8QpsIqrUA", "salt of 66 bytes"},
		{"base64 with line end", "$argon2id$v=19$m=64,t=1,p=2$c2Fs\ndHNhbHQ$rMPV68+USsULl8QpsIqrUA", "damaged"},
		{"base64 with bits to spare", "$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHR$rMPV68+USsULl8QpsIqrUA", "damaged"},
		{"trailing line end", "$argon2id$v=19$m=64,t=1,p=2" + tail + "\n", "damaged"},
		{"leading zero", "$argon2id$v=19$m=064,t=1,p=2" + tail, "damaged"},
		{"two parameters", "$argon2id$v=19$m=64,t=1" + tail, "m, t and p"},
		{"parameters out of order", "$argon2id$v=19$t=1,m=64,p=2" + tail, "in this order"},
		{"no number", "$argon2id$v=19$m=lots,t=1,p=2" + tail, "each a number"},
		{"negative", "$argon2id$v=19$m=64,t=-1,p=2" + tail, "each a number"},
		{"over 32 bits", "$argon2id$v=19$m=4294967360,t=1,p=2" + tail, "each a number"},
		{"no passes", "$argon2id$v=19$m=64,t=0,p=2" + tail, "0 passes"},
		{"too many passes", "$argon2id$v=19$m=64,t=17,p=2" + tail, "17 passes"},
		{"no lanes", "$argon2id$v=19$m=64,t=1,p=0" + tail, "0 lanes"},
		{"lanes that overflow a byte", "$argon2id$v=19$m=4096,t=1,p=257" + tail, "257 lanes"},
		{"too little memory", "$argon2id$v=19$m=15,t=1,p=2" + tail, "15 KiB"},
		{"too much memory", "$argon2id$v=19$m=262145,t=1,p=2" + tail, "262145 KiB"},
		{"bcrypt with 2x", "$2x$05$pzqrhcGYd2tqQXJJWTDYD.fkq.qm12ETa4FCgbwJUjkrt/LYhhUO.", "damaged or of an unknown kind"},
		{"bcrypt cut off", "$2y$05$pzqrhcGYd2tqQXJJWTDYD.fkq.qm12ETa4FCgbwJUjkrt/LYhhU", "damaged"},
		{"bcrypt too long", "$2y$05$pzqrhcGYd2tqQXJJWTDYD.fkq.qm12ETa4FCgbwJUjkrt/LYhhUO.x", "damaged"},
		{"bcrypt too cheap", "$2y$03$pzqrhcGYd2tqQXJJWTDYD.fkq.qm12ETa4FCgbwJUjkrt/LYhhUO.", "cost outside 4 to 16"},
		{"bcrypt too costly", "$2y$17$pzqrhcGYd2tqQXJJWTDYD.fkq.qm12ETa4FCgbwJUjkrt/LYhhUO.", "cost outside 4 to 16"},
		{"bcrypt at the limit", "$2y$16$pzqrhcGYd2tqQXJJWTDYD.fkq.qm12ETa4FCgbwJUjkrt/LYhhUO.", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := CheckHash(test.hash)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && err == nil:
				t.Error("accepted")
			case test.want != "" && !strings.Contains(err.Error(), test.want):
				t.Errorf("got %q, want it to contain %q", err, test.want)
			case err != nil && len(test.hash) > 6 && strings.Contains(err.Error(), test.hash):
				t.Errorf("the error repeats the text: %v", err)
			}
		})
	}
}

func TestBcryptReadsNoMoreThanItCompares(t *testing.T) {
	long := strings.Repeat("a", maxBcryptPassword)
	text, err := bcrypt.GenerateFromPassword([]byte(long), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHash(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if !h.matches(long) {
		t.Error("72 bytes don't match")
	}
	if h.matches(long + "a") {
		t.Error("a longer password matches, cut off at 72 bytes")
	}
	one, err := parseHash("$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2")
	if err != nil {
		t.Fatal(err)
	}
	if one.matches("correct horse\x00correct horse") {
		t.Error("a password with a zero byte matches the one before it")
	}
}

// FuzzCheckHash: no text may panic, and what is accepted is in canonical form.
func FuzzCheckHash(f *testing.F) {
	for _, seed := range foreignHashes {
		f.Add(seed.hash)
	}
	f.Add("$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHQ$")
	f.Add("$2b$99$")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err != nil {
			return
		}
		if h.cost() <= 0 || h.cost() > 6_000_000 {
			t.Errorf("the cost is out of bounds: %d", h.cost())
		}
		if a, ok := h.(*argon2id); ok && a.String() != text {
			t.Errorf("%q was accepted, its canonical form is %q", text, a.String())
		}
	})
}
