package imap

import (
	"strings"

	"github.com/emersion/go-imap/v2"

	"oauthproxy/proxy"
)

// command is what a client may say before its login. A method returns the
// credentials when the client has shown them, and an error when the session
// has to end.
type command struct {
	// inClear says that the command is legal where TLS is asked for and has
	// not begun (RFC 9051 section 6.2.1).
	inClear bool
	run     func(*dialogue, *parser) (*proxy.Credentials, error)
}

// commands are those of RFC 9051 sections 6.1 and 6.2 and ID of RFC 2971.
var commands = map[string]command{
	"CAPABILITY":   {inClear: true, run: (*dialogue).capability},
	"NOOP":         {inClear: true, run: (*dialogue).noop},
	"LOGOUT":       {inClear: true, run: (*dialogue).logout},
	"ID":           {inClear: true, run: (*dialogue).id},
	"STARTTLS":     {inClear: true, run: (*dialogue).startTLS},
	"LOGIN":        {run: (*dialogue).login},
	"AUTHENTICATE": {run: (*dialogue).authenticate},
}

// later are the commands that are legal after the login alone.
var later = wordSet(`ENABLE SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LIST LSUB XLIST NAMESPACE
	STATUS APPEND IDLE CLOSE UNSELECT EXPUNGE SEARCH FETCH STORE COPY MOVE UID CHECK SORT THREAD GETQUOTA
	GETQUOTAROOT SETQUOTA GETACL SETACL MYRIGHTS COMPRESS GETMETADATA SETMETADATA NOTIFY`)

// offered is what Exchange Online offers before a login (measured until 2026;
// docs/quirks.md), without what it says of logins: that is ours to say. It
// offers the same and more after the login, so nothing here is a promise that
// doesn't hold.
var offered = []imap.Cap{
	"IMAP4", imap.CapIMAP4rev1, imap.CapSASLIR, imap.CapUIDPlus, imap.CapID, imap.CapUnselect,
	imap.CapChildren, imap.CapIdle, imap.CapNamespace, imap.CapLiteralPlus,
}

// withheld tells which capabilities of the upstream are not passed on: those
// that speak of logging in, which the client has done.
func withheld(capability string) bool {
	upper := strings.ToUpper(capability)
	return upper == string(imap.CapLoginDisabled) || upper == string(imap.CapStartTLS) || strings.HasPrefix(upper, "AUTH=")
}

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}
