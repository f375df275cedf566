package doctor

import (
	"fmt"
	"time"
)

// How long the probes wait. None waits for ever, and each leaves what it waits
// for more time than that takes when all is well.
const (
	// probeTimeout bounds a probe as a whole, where no bound of its own is
	// shorter: a token that comes through a slow web proxy, and a visit to one
	// of our own ports.
	probeTimeout = 45 * time.Second
	// resolveTimeout lets a resolver ask a second name server: it goes on to
	// that one after five seconds.
	resolveTimeout = 10 * time.Second
	// connectTimeout lets the first packet of a connection be lost three times:
	// it is sent again after one, three and seven seconds.
	connectTimeout = 10 * time.Second
	// tlsTimeout bounds a handshake: two round trips, which a busy machine
	// makes slow.
	tlsTimeout = 15 * time.Second
	// answerTimeout bounds the wait for one line.
	answerTimeout = 10 * time.Second
	// secondTimeout bounds the attempt to find out what a silent port is. That
	// much it has been silent already.
	secondTimeout = 5 * time.Second
	// discoveryTimeout bounds the question for a discovery document: name,
	// connection and TLS may each be slow, the document is small.
	discoveryTimeout = 25 * time.Second
	// loginTimeout bounds a login. Exchange takes up to 17 seconds for a no
	// (reported).
	loginTimeout = 30 * time.Second
	// sendTimeout bounds the sending of the test message. The reply to its end
	// comes within a second usually; RFC 5321 section 4.5.3.2.6 allows ten
	// minutes.
	sendTimeout = 2 * time.Minute
	// arrivalTimeout bounds the wait for its arrival, which takes some seconds
	// usually, and arrivalPause is the time between two looks: each costs
	// Exchange work.
	arrivalTimeout = 2 * time.Minute
	arrivalPause   = 3 * time.Second
)

// inSeconds says how long that is.
func inSeconds(d time.Duration) string { return fmt.Sprintf("%g s", d.Seconds()) }
