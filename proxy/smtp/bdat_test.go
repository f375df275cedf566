package smtp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"oauthproxy/internal/script/stage"
)

func TestParseChunk(t *testing.T) {
	for argument, want := range map[string]string{
		"5": "BDAT 5", "5 LAST": "BDAT 5 LAST", "0 last": "BDAT 0 LAST", " 12  LAST": "BDAT 12 LAST",
		"9999999999": "BDAT 9999999999", "007": "BDAT 7",
		"": "", "LAST": "", "5 FIRST": "", "5 LAST 6": "", "-5": "", "+5": "", "5.0": "", "0x5": "", "99999999999": "",
	} {
		c, ok := parseChunk(argument)
		if ok != (want != "") || ok && c.String() != want {
			t.Errorf("parseChunk(%q) = %v, %v", argument, c, ok)
		}
	}
}

// Messages in chunks of any size, some given up by RSET in between, arrive as
// they are; and the chunks aren't taken for commands.
func TestChunksArrive(t *testing.T) {
	s := stage.New(t, Protocol{}, stage.Options{"log": "error"})
	upstream := exchange{chunking: true}
	s.PlayUpstream(upstream.serve)
	random := rand.New(rand.NewPCG(5, 6))
	var said strings.Builder
	said.WriteString(auth)
	var want []string
	for n := range 100 {
		message := strings.Repeat(fmt.Sprintf("QUIT\r\n.\r\n%d\n\x00", n), random.IntN(40)) + strings.Repeat("x", random.IntN(2)*200_000)
		said.WriteString("MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<c@d.example>\r\n")
		rest := message
		for size := random.IntN(len(rest) + 1); size > 0; size = random.IntN(len(rest) + 1) {
			fmt.Fprintf(&said, "BDAT %d\r\n%s", size, rest[:size])
			rest = rest[size:]
		}
		if n%10 == 9 {
			said.WriteString("RSET\r\n")
			continue
		}
		fmt.Fprintf(&said, "BDAT %d LAST\r\n%s", len(rest), rest)
		want = append(want, message)
	}
	heard := s.Converse(t, []byte(said.String()+"QUIT\r\n"))
	if got := strings.Count(heard, "250 accepted\r\n"); got != len(want) || !strings.HasSuffix(heard, "221 2.0.0 Goodbye\r\n") {
		t.Fatalf("%d of %d messages are accepted: %.2000q", got, len(want), heard)
	}
	compare(t, "by BDAT", upstream.delivered, want)
}

// 5,000 recipients, one by one or all at once, and the upstream dies in the
// middle: beyond what is held for it there is no replay, and no message.
func TestManyRecipientsAreNotHeld(t *testing.T) {
	d := &dialogue{}
	for n := range 5000 {
		d.tx.accept(fmt.Sprintf("RCPT TO:<recipient-%d@contoso.example>", n))
	}
	if d.tx.canReplay() || d.tx.recipients != nil || d.tx.accepted != 5000 {
		t.Errorf("%d recipients are held", len(d.tx.recipients))
	}
}
