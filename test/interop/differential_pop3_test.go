//go:build linux

package interop

import "strings"

var pop3Scripts = []script{
	{"a session as most are", `
> STAT
< +OK
> LIST
<.
> UIDL
<.
> RETR 1
<.
> TOP 1 1
<.
> DELE 1
< +OK
> QUIT
<$`},
	{"capabilities", `
> CAPA
<.
> NOOP
< +OK
> QUIT
<$`},
	{"every message", `
> RETR 1
<.
> RETR 2
<.
> RETR 3
<.
> RETR 4
<.
> RETR 5
<.
> LIST 3
< +OK
> UIDL 3
< +OK
> TOP 2 0
<.
> TOP 3 100
<.
> QUIT
<$`},
	{"deleted and not", `
> DELE 2
< +OK
> DELE 2
< -ERR
> RETR 2
< -ERR
> LIST
<.
> RSET
< +OK
> LIST
<.
> QUIT
<$`},
	{"numbers there are none of", `
> RETR 6
< -ERR
> RETR 0
< -ERR
> RETR -1
< -ERR
> RETR one
< -ERR
> RETR
< -ERR
> RETR 99999999999999999999
< -ERR
> TOP 1
< -ERR
> TOP 1 -1
< -ERR
> LIST 1 2
< 
> QUIT
<$`},
	{"everything at once", `
> STAT
> LIST
> UIDL
> RETR 1
> RETR 3
> DELE 1
> STAT
> QUIT
> NOOP
<$`},
	{"lower case and blanks", `
> stat
< +OK
> list 1
< +OK
> Retr 1
<.
> QUIT 
<$`},
	{"lines that end in LF", `
| "STAT\nLIST 1\nQUIT\n"
<$`},
	{"nonsense", `
> XYZZY
< -ERR
> 
< -ERR
> LAST
< 
> STLS
< -ERR
> APOP x y
< -ERR
> USER x
< -ERR
> PASS y
< -ERR
> AUTH PLAIN
< -ERR
> NOOP
< +OK
> QUIT
<$`},
	{"nonsense until Dovecot has enough", strings.Repeat("> XYZZY\n", 40) + "> QUIT\n<$"},
	{"bytes that are no text", `
| "RETR \xff\xfe\r\n"
< -ERR
| "RE\x01TR 1\r\n"
< -ERR
> QUIT
<$`},
	{"two hundred messages in one write", strings.Repeat("> RETR 1\n", 200) + "> QUIT\n<$"},
}
