package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"time"
	"unicode/utf16"
)

// serverName is the name of the machine that a connection reached, in the
// shape that Exchange's machines have: AM0PR04CA0123 in eurprd04.
type serverName struct{ site, region, number string }

func newServerName() serverName {
	n := mathrand.IntN(90) + 10
	return serverName{
		site:   fmt.Sprintf("AM%dPR%02d", mathrand.IntN(10), n),
		region: fmt.Sprintf("eurprd%02d", n),
		number: fmt.Sprintf("%04d", mathrand.IntN(999)+1),
	}
}

// frontEnd is the name in the IMAP and POP3 greetings and in refusals.
func (n serverName) frontEnd() string {
	return n.site + "CA" + n.number + "." + n.region + ".prod.outlook.com"
}

// smtp is the name in the SMTP greeting.
func (n serverName) smtp() string { return n.site + "CA" + n.number + ".outlook.office365.com" }

// mailboxServer is the name behind Hostname= once a message was submitted.
func (n serverName) mailboxServer() string {
	return n.site + "MB" + n.number + "." + n.region + ".prod.exchangelabs.com"
}

// bracket is the part in brackets of the IMAP and POP3 greetings: the front
// end's name in UTF-16LE, in base64.
func (n serverName) bracket() string {
	var wide []byte
	for _, unit := range utf16.Encode([]rune(n.frontEnd())) {
		wide = binary.LittleEndian.AppendUint16(wide, unit)
	}
	return base64.StdEncoding.EncodeToString(wide)
}

// newSMTPSessionID returns an id as in SMTP greetings: 08DD84B323498C1A.
func newSMTPSessionID() string {
	id := make([]byte, 6)
	rand.Read(id)
	return fmt.Sprintf("08DE%X", id)
}

// utcStamp is the time of day as in SMTP refusals.
func utcStamp() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

// newGUID returns a random GUID (RFC 9562 version 4).
func newGUID() string {
	b := make([]byte, 16)
	rand.Read(b)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// randomID returns 22 characters without meaning.
func randomID() string { return rand.Text()[:22] }
