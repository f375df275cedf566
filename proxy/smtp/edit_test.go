package smtp

import (
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
)

// edited returns a message as it leaves the editor, fed in blocks of the size.
func edited(e edit, message string, size int) string {
	var out strings.Builder
	editor := newEditor(e)
	for rest := message; rest != ""; {
		n := min(size, len(rest))
		out.Write(editor.next([]byte(rest[:n])))
		rest = rest[n:]
	}
	out.Write(editor.end())
	return out.String()
}

var randomID = regexp.MustCompile(`<[a-z2-7]{24}@`)

func TestEdit(t *testing.T) {
	const (
		full   = "Date: x\r\nMessage-ID: <1@x>\r\n"
		added  = "Date: Sat, 01 Jan 2000 00:00:00 +0000\r\nMessage-ID: <ID@contoso.com>\r\n"
		crOnly = "From: a@x.example\rTo: b@contoso.com\rSubject: Important\r\rDear Bob, ...\r\n"
	)
	sender := edit{sender: "scan@contoso.com", domain: "contoso.com"}
	repair := edit{complete: true, lineEnds: true, domain: "contoso.com"}
	tests := []struct {
		name          string
		edit          edit
		message, want string
	}{
		{"nothing", edit{}, "a: b\n\nc\n", "a: b\n\nc\n"},

		{"sender: a name and an address", sender,
			"From: Copier 1 <copier@printers.example>\r\nTo: x\r\n\r\nHello\r\n",
			"From: \"Copier 1\" <scan@contoso.com>\r\nTo: x\r\nReply-To: \"Copier 1\" <copier@printers.example>\r\n\r\nHello\r\n"},
		{"sender: an address alone", sender,
			"From: copier@printers.example\r\n\r\n",
			"From: \"copier@printers.example\" <scan@contoso.com>\r\nReply-To: <copier@printers.example>\r\n\r\n"},
		{"sender: an address that nobody can answer", sender,
			"from : copier@localhost\r\n\r\n",
			"From: \"copier@localhost\" <scan@contoso.com>\r\n\r\n"},
		{"sender: no address at all", sender,
			"From: Copier \"1\\\r\n\r\n",
			"From: \"Copier \\\"1\\\\\" <scan@contoso.com>\r\n\r\n"},
		{"sender: Reply-To is there already", sender,
			"Reply-To: a@b.example\r\nFrom: copier@printers.example\r\n\r\n",
			"Reply-To: a@b.example\r\nFrom: \"copier@printers.example\" <scan@contoso.com>\r\n\r\n"},
		{"sender: the mailbox itself", sender,
			"From: Scans   <Scan@Contoso.com>\r\nX: y\r\n\r\n",
			"From: Scans   <Scan@Contoso.com>\r\nX: y\r\n\r\n"},
		{"sender: on two lines", sender,
			"From: Copier\r\n <copier@printers.example>\r\nX: y\r\n\r\n",
			"From: \"Copier\" <scan@contoso.com>\r\nX: y\r\nReply-To: \"Copier\" <copier@printers.example>\r\n\r\n"},
		{"sender: UTF-8", sender,
			"From: \"Büro\" <copier@localhost>\r\n\r\n",
			"From: =?utf-8?q?B=C3=BCro?= <scan@contoso.com>\r\n\r\n"},
		{"sender: Latin-1", sender,
			"From: B\xfcro <copier@localhost>\r\n\r\n",
			"From: =?iso-8859-1?b?QvxybyA8Y29waWVyQGxvY2FsaG9zdD4=?= <scan@contoso.com>\r\n\r\n"},
		{"sender: no From", sender, "X: y\r\n\r\nFrom: in the body\r\n", "X: y\r\nFrom: <scan@contoso.com>\r\n\r\nFrom: in the body\r\n"},
		{"sender: From in the body alone stays", sender, "From: scan@contoso.com\r\n\r\nFrom: a@b.example\r\n", "From: scan@contoso.com\r\n\r\nFrom: a@b.example\r\n"},
		{"sender: a group of nobody", sender, "From: undisclosed-recipients:;\r\n\r\n", "From: \"undisclosed-recipients:;\" <scan@contoso.com>\r\n\r\n"},
		{"sender: several authors", sender,
			"From: A <a@x.example>, b@localhost, C <c@y.example>\r\n\r\n",
			"From: \"A\" <scan@contoso.com>\r\nReply-To: \"A\" <a@x.example>,\r\n \"C\" <c@y.example>\r\n\r\n"},
		{"sender: several From fields", sender,
			"From: copier@localhost\r\nFrom: evil@x.example\r\n folded\r\nX: y\r\n z\r\n\r\n",
			"From: \"copier@localhost\" <scan@contoso.com>\r\nX: y\r\n z\r\n\r\n"},
		{"sender: a From behind the mailbox's own", sender, "From: scan@contoso.com\r\nFrom: evil@x.example\r\n\r\n", "From: scan@contoso.com\r\n\r\n"},
		{"sender: a name that is too long", sender,
			"From: " + strings.Repeat("n", 900) + "\r\n\r\n",
			"From: \"" + strings.Repeat("n", maxName) + "\" <scan@contoso.com>\r\n\r\n"},
		{"sender: a long name ends with a whole character", sender,
			"From: " + strings.Repeat("n", maxName-1) + "ü\r\n\r\n",
			"From: \"" + strings.Repeat("n", maxName-1) + "\" <scan@contoso.com>\r\n\r\n"},
		{"sender: a From that is too long", sender,
			"From: a@x.example, " + strings.Repeat("n", maxField) + "\r\n more\r\nX: y\r\n z\r\n\r\n",
			"From: <scan@contoso.com>\r\nX: y\r\n z\r\n\r\n"},
		{"sender: a From on too many lines", sender,
			"From: a@x.example\r\n" + strings.Repeat(" and more\r\n", maxField/10) + "X: y\r\n\r\n",
			"From: <scan@contoso.com>\r\nX: y\r\n\r\n"},
		{"sender: lines that end with CR", sender, crOnly, crOnly},
		{"sender: a CR within From", sender, "X: y\r\nFrom: a@x.example\rTo: b\r\rDear Bob\r\n", "X: y\r\nFrom: a@x.example\rTo: b\r\rDear Bob\r\n"},
		{"sender: a CR within the second line of From", sender, "From: a\r\n b\rTo: b\r\rDear Bob\r\n", "From: a\r\n b\rTo: b\r\rDear Bob\r\n"},
		{"sender: a CR within another field", sender, "X: y\r\nY: a\rb\r\nFrom: copier\r\n\r\n", "X: y\r\nY: a\rb\r\nFrom: \"copier\" <scan@contoso.com>\r\n\r\n"},
		{"sender: a line that is no field", sender,
			"X: y\r\n>From evil\r\n folded\r\njunk\r\nFrom: copier\r\n\r\nHello\r\n",
			"X: y\r\n>From evil\r\n folded\r\njunk\r\nFrom: \"copier\" <scan@contoso.com>\r\n\r\nHello\r\n"},

		{"repair: lines that end with CR", repair, crOnly, crOnly},
		{"repair: a line of an mbox file", repair,
			"From copier Sun Nov 22 20:51:00 2026\r\n" + full + "From: a@x.example\r\n\r\nbody\r\n",
			"From copier Sun Nov 22 20:51:00 2026\r\n" + full + "From: a@x.example\r\n\r\nbody\r\n"},
		{"repair: a line that is no field", repair, "X: y\r\njunk\r\n" + full + "\r\nHello\r\n", "X: y\r\njunk\r\n" + full + "\r\nHello\r\n"},
		{"repair: a body that nothing parts from the header", repair, "X: y\r\nHello\r\nthere\r\n\r\nA: b\r\n",
			"X: y\r\n" + added + "Hello\r\nthere\r\n\r\nA: b\r\n"},
		{"repair: much that is no field", repair, "X: y\r\n" + strings.Repeat("junk\r\n", maxField) + full,
			"X: y\r\n" + added + strings.Repeat("junk\r\n", maxField) + full},
		{"repair: the end within a field", repair, "X: y", "X: y\r\n" + added},
		{"repair: several From fields", repair, full + "From: a@x.example\r\nFrom: b\r\n\r\n", full + "From: a@x.example\r\nFrom: b@contoso.com\r\n\r\n"},
		{"repair: a quoted name, no domain", repair, full + "From: \"Office, \\\"2:nd\" <copier>\r\n\r\n", full + "From: \"Office, \\\"2:nd\" <copier@contoso.com>\r\n\r\n"},
		{"repair: a comment, no domain", repair, full + "From: copier (Office)\r\n\r\n", full + "From: copier@contoso.com (Office)\r\n\r\n"},
		{"repair: Date and Message-ID", repair, "Subject: x\r\n\r\nHello\r\n",
			"Subject: x\r\nDate: Sat, 01 Jan 2000 00:00:00 +0000\r\nMessage-ID: <ID@contoso.com>\r\n\r\nHello\r\n"},
		{"repair: in lower case, with a blank", repair, "date : x\r\nmessage-id: y\r\n\r\n", "date : x\r\nmessage-id: y\r\n\r\n"},
		{"repair: no header", repair, "Hello there\r\nand more\r\n",
			"Date: Sat, 01 Jan 2000 00:00:00 +0000\r\nMessage-ID: <ID@contoso.com>\r\n\r\nHello there\r\nand more\r\n"},
		{"repair: a blank line first", repair, "\r\nHello\r\n",
			"Date: Sat, 01 Jan 2000 00:00:00 +0000\r\nMessage-ID: <ID@contoso.com>\r\n\r\nHello\r\n"},
		{"repair: nothing at all", repair, "", "Date: Sat, 01 Jan 2000 00:00:00 +0000\r\nMessage-ID: <ID@contoso.com>\r\n"},
		{"repair: header alone", repair, full, full},
		{"repair: bare LF", repair, "Date: x\nMessage-ID: y\n\nHello\n\nthere\r\n", "Date: x\r\nMessage-ID: y\r\n\r\nHello\r\n\r\nthere\r\n"},
		{"repair: bare CR stays", repair, full + "\r\na\rb\r\r\n", full + "\r\na\rb\r\r\n"},
		{"repair: From without a domain", repair, full + "From: copier\r\n\r\n", full + "From: copier@contoso.com\r\n\r\n"},
		{"repair: From in brackets without a domain", repair, full + "From: Copier 1 <copier>\r\n\r\n", full + "From: Copier 1 <copier@contoso.com>\r\n\r\n"},
		{"repair: a From that is none", repair, full + "From: The Copier\r\n\r\n", full + "From: The Copier\r\n\r\n"},
		{"repair: a From of others", repair, full + "From: A <a@b.example>\r\n\r\n", full + "From: A <a@b.example>\r\n\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // for the date
				for size := range 12 {
					got := randomID.ReplaceAllString(edited(test.edit, test.message, size+1), "<ID@")
					if got != test.want {
						t.Fatalf("in blocks of %d:\ngot  %q\nwant %q", size+1, got, test.want)
					}
				}
			})
		})
	}
}

// A clean message passes bit for bit: a signature (DKIM) stays good.
func TestRepairLeavesACleanMessageAlone(t *testing.T) {
	var message strings.Builder
	message.WriteString("DKIM-Signature: v=1;\r\n\tb=abc\r\nFrom: =?utf-8?q?B=C3=BCro?=   <a@contoso.com>\r\nDate: x\r\nMessage-ID: <1@x>\r\nX-Long: ")
	message.WriteString(strings.Repeat("long ", 100000))
	message.WriteString("\r\n  and more\r\n\r\n")
	for i := range 2000 {
		fmt.Fprintf(&message, "line %d \t with \x00 all \xff sorts\r\n..\r\n", i)
	}
	for _, size := range []int{1, 7, 4096, 1 << 20} {
		got := edited(edit{sender: "a@contoso.com", complete: true, lineEnds: true, domain: "contoso.com"}, message.String(), size)
		if got != message.String() {
			t.Errorf("in blocks of %d the message has changed", size)
		}
	}
}

// A header of any length costs no memory, and what can't be edited passes.
func TestEditOfAnEndlessHeader(t *testing.T) {
	out := 0
	editor := newEditor(edit{sender: "a@b.example", complete: true, lineEnds: true, domain: "b.example"})
	feed := func(text string, times int) {
		for range times {
			out += len(editor.next([]byte(text)))
			if held := cap(editor.line) + cap(editor.from) + cap(editor.out); held > 8*maxField {
				t.Fatalf("%d bytes are held", held)
			}
		}
	}
	feed("From: x", 1)
	feed("yyyyyyyyyyyyyyy", 1<<16)
	feed("\r\n", 1)
	feed("X: y\r\n z\r\n", 1<<17)
	feed("no field\r\n and more\r\nY: z\r\n", 1<<16)
	feed("From: a\r\n", 1)
	feed(" folded\r\n", 1<<16)
	if out += len(editor.end()); out < 1<<20 {
		t.Errorf("%d bytes", out)
	}
}

// However a message is cut into blocks, the result is the same; all of its body
// arrives, and no line end is bare.
func FuzzEdit(f *testing.F) {
	f.Add("From: x\r\nDate: y\r\n\r\nHello\n", uint8(3), true)
	f.Add("Hello\n..\n", uint8(1), false)
	f.Add("From: a\r\n b\r\n\tc\n\n\n", uint8(2), true)
	f.Fuzz(func(t *testing.T, message string, size uint8, rewrite bool) {
		e := edit{complete: true, lineEnds: true, domain: "d.example"}
		if rewrite {
			e.sender = "s@d.example"
		}
		result := func(size int) string {
			out := randomID.ReplaceAllString(edited(e, message, size), "<ID@")
			return dateField.ReplaceAllString(out, "Date: D\r\n")
		}
		whole, cut := result(len(message)+1), result(int(size)+1)
		if whole != cut {
			t.Errorf("whole %q\nin blocks of %d %q", whole, int(size)+1, cut)
		}
		if strings.Contains(strings.ReplaceAll(whole, "\r\n", ""), "\n") {
			t.Errorf("a bare LF in %q", whole)
		}
		clean := strings.ReplaceAll(strings.ReplaceAll(message, "\r\n", "\n"), "\n", "\r\n")
		if _, body, found := strings.Cut(clean, "\r\n\r\n"); found && !strings.HasSuffix(whole, body) {
			t.Errorf("the body %q isn't in %q", body, whole)
		}
	})
}

var dateField = regexp.MustCompile(`Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r\n`)

// Whatever stands in From, the sender is what it says afterwards, on lines of a
// length that mail may have.
func FuzzRewritten(f *testing.F) {
	f.Add("undisclosed-recipients:;")
	f.Add("A <a@b.example>, =?utf-8?q?=0D=0AB?= <c@d.example>")
	f.Add("B\xfcro \"x\\")
	f.Fuzz(func(t *testing.T, original string) {
		author, reply, foreign := rewritten(strings.Join(strings.Fields(original), " "), "s@d.example")
		if !foreign {
			return
		}
		if got, err := mail.ParseAddress(author); err != nil || got.Address != "s@d.example" {
			t.Errorf("From: %q: %v", author, err)
		}
		for line := range strings.SplitSeq(author+",\r\n "+reply, "\r\n ") {
			if len(line) > 980 || strings.ContainsAny(line, "\r\n") {
				t.Errorf("the line %q", line)
			}
		}
	})
}
