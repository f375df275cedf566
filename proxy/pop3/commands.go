package pop3

import "oauthproxy/proxy"

// command is what a client may say in the AUTHORIZATION state (RFC 1939
// section 4). A method returns the credentials when the client has shown them,
// and an error when the session has to end.
type command struct {
	// inClear says that the command is legal where TLS is asked for and has
	// not begun.
	inClear bool
	// secret says that the argument must not be traced.
	secret bool
	run    func(d *dialogue, argument string) (*proxy.Credentials, error)
}

var commands = map[string]command{
	"CAPA": {inClear: true, run: (*dialogue).capa}, // RFC 2449
	"STLS": {inClear: true, run: (*dialogue).stls}, // RFC 2595
	"QUIT": {inClear: true, run: (*dialogue).quit},
	"USER": {run: (*dialogue).user},
	"PASS": {secret: true, run: (*dialogue).pass},
	"AUTH": {secret: true, run: (*dialogue).auth}, // RFC 5034
}

// notOffered are commands that a client may try though CAPA doesn't list them:
// they would promise what Exchange doesn't do after the login, or need a
// password that we could read.
var notOffered = map[string]string{
	"APOP": "APOP is not offered, use USER and PASS",
	"UTF8": "UTF8 is not offered, a name or password in UTF-8 needs none", // RFC 6856 section 2
	"LANG": "LANG is not offered, all texts are English",                  // RFC 6856 section 3
}

// later are the commands of the TRANSACTION state.
var later = map[string]bool{
	"STAT": true, "LIST": true, "RETR": true, "DELE": true, "NOOP": true, "RSET": true, "TOP": true, "UIDL": true,
}
