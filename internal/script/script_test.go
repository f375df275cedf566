package script

import (
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMatches(t *testing.T) {
	tests := []struct {
		pattern, heard string
		want           bool
	}{
		{"250 ok", "250 ok", true},
		{"250 ok", "250 ok ", false},
		{"250 *", "250 ok", true},
		{"250 *", "250", false},
		{"250-*", "250 ok", false},
		{"2*0 *k", "250 o x k", true},
		{"a*b*c", "abc", true},
		{"a*b*c", "acb", false},
		{"a*ab", "ab", false},
		{"*", "*", true},
		{"*", "anything", false},
		{"* OK *", "* OK ready", true},
		{"* OK *", "a OK ready", false},
		{"", "", true},
		{"", "x", false},
	}
	for _, test := range tests {
		if got := matches(test.pattern, test.heard); got != test.want {
			t.Errorf("matches(%q, %q) = %v", test.pattern, test.heard, got)
		}
	}
}

func TestEscapes(t *testing.T) {
	if got, err := unescape(`a\r\n\x00\xff\\é"'`); err != nil || got != "a\r\n\x00\xff\\é\"'" {
		t.Errorf("unescape = %q, %v", got, err)
	}
	if _, err := unescape(`\q`); err == nil {
		t.Error("an unknown escape is taken")
	}
	if got := escape("a\r\n\x00\xff\\é\x7f"); got != `a\r\n\x00\xff\é\x7f` {
		t.Errorf("escape = %s", got)
	}
	if got, err := encodeBase64(`x base64(\x00a) base64(b)`); err != nil || got != "x AGE= Yg==" {
		t.Errorf("encodeBase64 = %q, %v", got, err)
	}
}

func TestParse(t *testing.T) {
	s, err := Parse("# a comment\nlistener: starttls\n\nC< 220 *\n# another\nC| a\\n\nU2 CONNECT TLS\nU2< \nP SHUTDOWN\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.steps) != 5 || s.Options["listener"] != "starttls" {
		t.Errorf("%+v", s)
	}
	last := s.steps[4]
	if last.who != "P" || last.text != "SHUTDOWN" || last.number != 9 {
		t.Errorf("last step: %+v", last)
	}
	for _, text := range []string{"X> hello", "C hello", "C= x", "hello", "C| \\q", "C> x\nlistener: late"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken for a story", text)
		}
	}
}

// A proxy of one session: it connects upstream once for each line it hears, and
// says the same there and here.
func play(t *testing.T, text string) error {
	t.Helper()
	story, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	here, upstream := listen(t), listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := here.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		line := make([]byte, 100)
		for {
			n, err := conn.Read(line)
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", upstream.Addr().String())
			if err != nil {
				return
			}
			_, _ = up.Write(line[:n])
			_ = up.Close()
			_, _ = conn.Write(line[:n])
		}
	}()
	err = story.Play(Stage{Proxy: here.Addr().String(), Upstream: upstream, Response: func() string { return "TOKEN" }})
	_ = here.Close()
	<-done
	_ = upstream.Close()
	return err
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln.(*net.TCPListener)
}

func TestPlay(t *testing.T) {
	tests := []struct {
		name, story string
		want        string // in the error
	}{
		{"all told", "C> a\nU CONNECT\nU> a\nU> EOF\nC< a\nC> EOF\nC< EOF", ""},
		{"an end that goes without saying", "C> TOKEN\nU CONNECT\nU> ***\nC< T*", ""},
		{"one segment", "C+ a\nC> b\nU CONNECT\nU> a\nU> b\nC< a\nC< b", ""},
		{"bare LF and no line end", "C| a\\nb\nU CONNECT\nU> a\\n\nU> b(no line end)\nC< a\\n\nC> EOF\nC< b(no line end)", ""},
		{"a goodbye to the upstream", "C> QUIT\nU CONNECT\nC< QUIT", ""},
		{"another answer", "# x\nC> a\nU CONNECT\nC< b", "line 4: C< b\nheard: a\nbefore that:\nC> a\nU CONNECT"},
		{"the client hears more", "C> a\nU CONNECT\nU> a", `C hears more: "a\r\n"`},
		{"the upstream hears more", "C> a\nU CONNECT\nC< a", `U hears more: "a\r\n"`},
		{"one connection more", "C> a\nC< a", "connected once more"},
		{"not the end", "C> a\nU CONNECT\nU> EOF", "line 3: U> EOF\nheard"},
		{"the connection before goes on", "C> a\nU CONNECT\nC< a\nC> b\nU CONNECT", "the connection before"},
		{"nobody there", "U> a", "U is not connected"},
		{"a reset", "C> a\nU CONNECT\nU> a\nC< a\nC> RESET", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := play(t, test.story)
			if test.want == "" && err != nil {
				t.Error(err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("err = %v, want %s", err, test.want)
			}
		})
	}
}

func TestFollow(t *testing.T) {
	first, err := Parse("a: 1\nb: 2\nC> first")
	if err != nil {
		t.Fatal(err)
	}
	second, err := Parse("b: 3\nC> second")
	if err != nil {
		t.Fatal(err)
	}
	second.Follow(first)
	if len(second.steps) != 2 || second.steps[0].text != "first" || second.Options["a"] != "1" || second.Options["b"] != "3" {
		t.Errorf("%+v", second)
	}
	if len(first.steps) != 1 {
		t.Error("the first story has changed")
	}
}

func TestIsEnd(t *testing.T) {
	if !isEnd(io.EOF) || !isEnd(io.ErrUnexpectedEOF) || isEnd(net.ErrClosed) || isEnd(nil) {
		t.Error("isEnd is wrong")
	}
}

func TestSaid(t *testing.T) {
	s, err := Parse("C> a\nU< b\nC< c\nC+ d\nC| e\\n\nC TLS\nC2> f\nC> EOF")
	if err != nil {
		t.Fatal(err)
	}
	if said := string(s.Said("C")); said != "a\r\nd\r\ne\n" {
		t.Errorf("C says %q", said)
	}
}
