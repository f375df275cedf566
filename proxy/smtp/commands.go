package smtp

// command is what a client may say. A method answers the command itself; its
// error ends the session.
type command struct {
	// inClear says that the command is legal where TLS is asked for and has
	// not begun (RFC 3207 section 4).
	inClear bool
	// login says that the command is legal after the login alone.
	login bool
	// secret says that the argument must not be traced.
	secret bool
	run    func(d *dialogue, argument string) error
}

// commands are those of RFC 5321 section 4.1, STARTTLS of RFC 3207 and AUTH of
// RFC 4954. EHLO isn't asked for before the others: some devices know neither
// it nor HELO.
var commands = map[string]command{
	"EHLO":     {inClear: true, run: (*dialogue).ehlo},
	"HELO":     {inClear: true, run: (*dialogue).helo},
	"STARTTLS": {inClear: true, run: (*dialogue).startTLS},
	"NOOP":     {inClear: true, run: (*dialogue).noop},
	"QUIT":     {inClear: true, run: (*dialogue).quit},
	"RSET":     {inClear: true, run: (*dialogue).rset},
	"HELP":     {inClear: true, run: (*dialogue).help},
	"AUTH":     {secret: true, run: (*dialogue).auth},
	"MAIL":     {login: true, run: (*dialogue).mail},
	"RCPT":     {login: true, run: (*dialogue).rcpt},
	"DATA":     {login: true, run: (*dialogue).data},
	"VRFY":     {login: true, run: (*dialogue).vrfy},
	"BDAT":     {login: true, run: (*dialogue).bdat},
}

// relayed are the EHLO keywords of the upstream that hold for our clients too:
// those that only stand for parameters of MAIL and RCPT, which go upstream as
// they are. The others concern the connection (STARTTLS, AUTH) or what a relay
// of transactions doesn't carry.
var relayed = map[string]bool{
	"SIZE": true, "DSN": true, "ENHANCEDSTATUSCODES": true, "8BITMIME": true, "SMTPUTF8": true,
	"DELIVERBY": true, "FUTURERELEASE": true, "MT-PRIORITY": true, "RRVS": true,
	"CHUNKING": true, "BINARYMIME": true,
}

// exchangeOffers is what Exchange Online offers (measured until 2026), as far
// as it is relayed: what a client hears before its login, when there is no
// upstream to ask.
var exchangeOffers = []string{"SIZE 157286400", "DSN", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8"}
