//go:build linux

package interop

import (
	"fmt"
	"strings"
)

var smtpScripts = []script{
	{"a session as most are", `
> MAIL FROM:<MAILBOX>
~ 250
> RCPT TO:<MAILBOX>
< 250
> DATA
~ 354
> Subject: x
> 
> body
> .
< 250
> QUIT
~ 221
<$`},
	{"several messages, and a reset between them", `
> MAIL FROM:<MAILBOX>
~ 250
> RCPT TO:<MAILBOX>
< 250
> RSET
~ 250
> MAIL FROM:<MAILBOX> BODY=8BITMIME SIZE=20
~ 250
> RCPT TO:<MAILBOX>
< 250
> RCPT TO:<MAILBOX>
< 250
> DATA
~ 354
> one
> .
< 250
> MAIL FROM:<>
~ 250
> RCPT TO:<MAILBOX>
< 250
> DATA
~ 354
> two
> .
< 250
> QUIT
~ 221
<$`},
	{"refused recipients", `
> MAIL FROM:<MAILBOX>
~ 250
> RCPT TO:<nobody@interop.example>
< 550
> RCPT TO:<MAILBOX>
< 250
> RCPT TO:<a@b@interop.example>
< 5
> RCPT TO:<MAILBOX> NOTIFY=SOMETIMES
< 5
> RCPT TO:<MAILBOX> UNKNOWN=1
< 5
> RCPT TO:<MAILBOX> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@interop.example
< 250
> DATA
~ 354
> .
< 250
> QUIT
~ 221
<$`},
	{"no recipient left", `
> MAIL FROM:<MAILBOX>
~ 250
> RCPT TO:<nobody@interop.example>
< 550
> DATA
~ 554
> RSET
~ 250
> QUIT
~ 221
<$`},
	{"pipelined", `
> MAIL FROM:<MAILBOX>
> RCPT TO:<MAILBOX>
> RCPT TO:<nobody@interop.example>
> RCPT TO:<MAILBOX>
> DATA
~ 250
< 250
< 550
< 250
~ 354
| "one\r\n.\r\nMAIL FROM:<MAILBOX>\r\nRCPT TO:<MAILBOX>\r\nDATA\r\n"
< 250
~ 250
< 250
~ 354
| "two\r\n.\r\nQUIT\r\n"
< 250
~ 221
<$`},
	{"dots, 8-bit and long lines", `
> MAIL FROM:<MAILBOX>
~ 250
> RCPT TO:<MAILBOX>
< 250
> DATA
~ 354
> ..
> ...dots
| "\xff\xfe caf\u00e9\r\n"
> ` + strings.Repeat("long ", 14_000) + `
> .
< 250
> QUIT
~ 221
<$`},
	{"a wrong order", `
> RCPT TO:<MAILBOX>
~ 503
> DATA
~ 503
> MAIL FROM:<MAILBOX>
~ 250
> MAIL FROM:<MAILBOX>
~ 503
> DATA
~ 554
> AUTH PLAIN AHgAeQ==
~ 503
> RSET
~ 250
> NOOP
~ 250
> EHLO again
~ 250
> HELO again
~ 250
> VRFY MAILBOX
~ 252
> XYZZY
~ 500
> QUIT
~ 221
<$`},
	{"addresses in UTF-8", `
> MAIL FROM:<MAILBOX> SMTPUTF8
~ 250
| "RCPT TO:<b\u00fcro@interop.example>\r\n"
< 5
> RCPT TO:<MAILBOX>
< 250
> DATA
~ 354
| "Subject: Gr\u00fc\u00dfe\r\n\r\nGr\u00fc\u00dfe\r\n.\r\n"
< 250
> QUIT
~ 221
<$`},
	{"more recipients than Postfix takes", "> MAIL FROM:<MAILBOX>\n~ 250\n" + recipients(1100) + "> RSET\n~ 250\n> QUIT\n~ 221\n<$"},
}

// recipients are n of them, in writes of a hundred.
func recipients(n int) string {
	var b strings.Builder
	for first := 0; first < n; first += 100 {
		for i := range 100 {
			fmt.Fprintf(&b, "> RCPT TO:<LOCAL+%d@interop.example>\n", first+i)
		}
		b.WriteString(strings.Repeat("< \n", 100))
	}
	return b.String()
}
