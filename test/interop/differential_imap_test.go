//go:build linux

package interop

import "strings"

var imapScripts = []script{
	{"capabilities", `
> 1 CAPABILITY
< 1 
> 2 NOOP
< 2 
> 3 ID NIL
< 3 
> 4 NAMESPACE
< 4 
> 5 ENABLE CONDSTORE UTF8=ACCEPT
< 5 
> 6 LOGOUT
<$`},
	{"a session as most are", `
> 1 LIST "" "*"
< 1 
> 2 LSUB "" "*"
< 2 
> 3 SELECT INBOX
< 3 
> 4 UID FETCH 1:* (FLAGS RFC822.SIZE INTERNALDATE)
< 4 
> 5 UID FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]
< 5 
> 6 UID FETCH 1:* (UID BODY.PEEK[])
< 6 
> 7 UID STORE 1 +FLAGS (\Seen $Forwarded)
< 7 
> 8 CHECK
< 8 
> 9 CLOSE
< 9 
> A LOGOUT
<$`},
	{"parts of messages", `
> 1 EXAMINE INBOX
< 1 
> 2 FETCH 4 (BODYSTRUCTURE ENVELOPE BODY)
< 2 
> 3 FETCH 4 BODY.PEEK[2]
< 3 
> 4 FETCH 3 BODY.PEEK[]<69000.5000>
< 4 
> 5 FETCH 5 (BODY[TEXT] RFC822.HEADER)
< 5 
> 6 FETCH 2 BINARY.PEEK[1]
< 6 
> 7 FETCH 99 FLAGS
< 7 
> 8 UID FETCH 99 FLAGS
< 8 `},
	{"flags, EXPUNGE and UID EXPUNGE", `
> 1 SELECT INBOX
< 1 
> 2 STORE 1:3 +FLAGS.SILENT (\Deleted)
< 2 
> 3 UID EXPUNGE 2
< 3 
> 4 STORE 1 -FLAGS (\Deleted)
< 4 
> 5 EXPUNGE
< 5 
> 6 FETCH 1:* (UID FLAGS)
< 6 
> 7 STORE 1 FLAGS (\Recent)
< 7 
> 8 STORE 1 FLAGS (\NoSuchFlag)
< 8 
> 9 UNSELECT
< 9 `},
	{"APPEND with all kinds of literals", `
> 1 APPEND INBOX (\Seen) "22-Nov-2026 12:00:00 +0000" {22}
< + 
> Subject: x
> 
> body
> 
> 
< 1 
> 2 APPEND INBOX "22-Nov-2026 12:00:00 +0000" {8+}
> a: b
> 
> 
< 2 
> 3 APPEND INBOX {0+}
> 
< 3 
> 4 APPEND "no such folder" {3+}
> abc
< 4 
> 5 APPEND INBOX (\Bad {3+}
> abc
< 5 
> 6 SELECT {5}
< + 
> INBOX
< 6 
> 7 FETCH 6:* (UID INTERNALDATE BODY[])
< 7 `},
	{"a big APPEND", `
> 1 APPEND INBOX "22-Nov-2026 12:00:00 +0000" {1000000+}
| "` + strings.Repeat("0123456789", 100_000) + `\r\n"
< 1 
> 2 SELECT INBOX
< 2 
> 3 FETCH 6 BODY.PEEK[]
< 3 `},
	{"folders with odd names", `
> 1 CREATE "M&APw-ll & S&APY-hne"
< 1 
> 2 CREATE "M&APw-ll &- S&APY-hne"
< 2 
> 3 CREATE "quotes \" and \\ backslashes"
< 3 
> 4 CREATE {8+}
> lit%eral
< 4 
> 5 SUBSCRIBE "M&APw-ll &- S&APY-hne"
< 5 
> 6 RENAME "M&APw-ll &- S&APY-hne" {6+}
> &AMQ-x
< 6 
> 7 LIST "" %
< 7 
> 8 LSUB "" *
< 8 
> 9 STATUS "&AMQ-x" (MESSAGES UIDNEXT UIDVALIDITY)
< 9 
> A DELETE "&AMQ-x"
< A 
> B DELETE "&AMQ-x"
< B 
> C CREATE INBOX
< C 
> D CREATE ""
< D `},
	{"COPY and MOVE", `
> 1 CREATE Kept
< 1 
> 2 SELECT INBOX
< 2 
> 3 UID COPY 1:2 Kept
< 3 
> 4 UID MOVE 3 Kept
< 4 
> 5 COPY 1 "no such folder"
< 5 
> 6 SELECT Kept
< 6 
> 7 FETCH 1:* (UID FLAGS RFC822.SIZE)
< 7 `},
	{"SEARCH, SORT and THREAD", `
> 1 SELECT INBOX
< 1 
> 2 SEARCH ALL
< 2 
> 3 UID SEARCH CHARSET UTF-8 BODY {7+}
| "Gr\u00fc\u00dfe\r\n"
< 3 
> 4 UID SEARCH CHARSET UTF-8 SUBJECT {7}
< + 
| "Gr\u00fc\u00dfe\r\n"
< 4 
> 5 SEARCH CHARSET KLINGON ALL
< 5 
> 6 UID SEARCH RETURN (MIN MAX COUNT) OR LARGER 1000 UNSEEN
< 6 
> 7 SORT (REVERSE SIZE) UTF-8 ALL
< 7 
> 8 THREAD REFERENCES UTF-8 ALL
< 8 
> 9 SEARCH
< 9 
> A SEARCH TEXT "` + strings.Repeat("x", 7000) + `"
< A `},
	{"IDLE with a new message", `
> 1 SELECT INBOX
< 1 
> 2 IDLE
< + 
!
< * 1 RECENT
> DONE
< 2 
> 3 FETCH 6 BODY.PEEK[]
< 3 `},
	{"IDLE that ends oddly", `
> 1 SELECT INBOX
< 1 
> 2 IDLE
< + 
> done
< 2 
> 3 IDLE
< + 
> 4 NOOP
< 3 
> 5 NOOP
< 5 `},
	{"everything at once", `
> 1 SELECT INBOX
> 2 FETCH 1:* FLAGS
> 3 STORE 1 +FLAGS (\Flagged)
> 4 FETCH 1 BODY[]
> 5 APPEND INBOX "22-Nov-2026 12:00:00 +0000" {5+}
> a:b
> 
> 6 NOOP
> 7 CREATE F
> 8 SELECT F
> 9 SELECT INBOX
> A SEARCH ALL
> B LOGOUT
> C NOOP
<$`},
	{"five hundred commands in one write", strings.Repeat("> 1 NOOP\n", 499) + "> 2 LOGOUT\n<$"},
	{"nonsense", `
> 1
< 1 
> 2 XYZZY
< 2 
> * NOOP
< * BAD
> 4 FETCH 1 FLAGS
< 4 
> 5 SELECT
< 5 
> 6 SELECT INBOX extra words (
< 6 
> 7 NOOP NOOP
< 7 
> 8 SELECT "unterminated
< 8 
> 9 LOGOUT
<$`},
	{"nonsense until Dovecot has enough", strings.Repeat("> 1 XYZZY\n", 30) + "<$"},
	{"an empty line", `
> 
< * 
> 1 NOOP
< 1 `},
	{"lines that end in LF", `
| "1 NOOP\n2 SELECT INBOX\n3 FETCH 1 FLAGS\n"
< 3 `},
	{"bytes that are no text", `
| "1 SELECT \"\u00fc\"\r\n"
< 1 
| "2 SELECT \"\xfc\xff\"\r\n"
< 2 
| "3 SELECT \"a\x01b\"\r\n"
< 3 
| "4 SELECT {3+}\r\n\xff\xfe\xfd\r\n"
< 4 
> 5 NOOP
< 5 `},
	{"a line far too long", "> 1 SELECT " + strings.Repeat("x", 200_000) + "\n< 1\n> 2 NOOP\n< 2"},
	{"a literal far too long", `
> 1 SELECT {99999999}
<$`},
	{"a second login", `
> 1 LOGIN x y
< 1 
> 2 AUTHENTICATE PLAIN
< 2 
> 3 STARTTLS
< 3 
> 4 NOOP
< 4 `},
	{"QRESYNC and CONDSTORE", `
> 1 ENABLE QRESYNC
< 1 
> 2 SELECT INBOX (QRESYNC (1900000000 1))
< 2 
> 3 UID STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\Seen)
< 3 
> 4 UID FETCH 1:* FLAGS (CHANGEDSINCE 1)
< 4 `},
	{"LOGOUT in lower case, and more behind it", `
> 1 logout
> 2 noop
<$`},
}
