package doctor

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// What Entra ID bears of a clock that is wrong is about five minutes.
const (
	maxSkew     = 5 * time.Minute
	noticedSkew = time.Minute
)

// clock is this machine's, compared with the Date of an answer.
type clock struct {
	host   string // empty: nothing was answered
	known  bool
	ahead  time.Duration // of theirs; negative: behind
	unsure time.Duration // half the round trip, and of the second that Date tells
}

// readClock compares the clocks by an answer (RFC 9110 section 6.6.1). Age is
// how long it lay in a cache (RFC 9111 section 5.1).
func readClock(host string, header http.Header, sent, received time.Time) clock {
	c := clock{host: host}
	theirs, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return c
	}
	if age, err := strconv.ParseUint(header.Get("Age"), 10, 31); err == nil {
		theirs = theirs.Add(time.Duration(age) * time.Second)
	}
	trip := received.Sub(sent)
	// Date is cut to the second, so it was half a second later on the average.
	// Without the monotonic clock, for a Date far off overflows nothing then.
	ours := sent.Add(trip / 2).Round(0)
	c.known = true
	c.ahead = ours.Sub(theirs.Add(time.Second / 2))
	c.unsure = trip/2 + time.Second/2
	return c
}

// orBetter returns the one that knows more, and more exactly.
func (c clock) orBetter(other clock) clock {
	switch {
	case c.host == "", !c.known && other.known:
		return other
	case c.known && other.known && other.unsure < c.unsure:
		return other
	}
	return c
}

// finding tells how well the clocks agree.
func (c clock) finding() Finding {
	switch {
	case c.host == "":
		return Finding{Status: Skipped, Seen: "Entra ID hasn't answered"}
	case !c.known:
		return Finding{Status: Note, Seen: "the answer of Entra ID has no usable date to compare this machine's clock with"}
	}
	off, side := c.ahead, "ahead of"
	if off < 0 {
		off, side = -max(off, -math.MaxInt64), "behind"
	}
	offset := fmt.Sprintf("%v %s", off.Round(time.Second), side)
	seen := fmt.Sprintf("this machine's clock is %s that of %s", offset, c.host)
	o := &odd{remedy: "clock-wrong", seen: seen, facts: map[string]string{"offset": offset}}
	switch sure := off - c.unsure; {
	case sure > maxSkew:
		return o.finding(Broken, c.host)
	case sure > noticedSkew:
		return o.finding(Warning, c.host)
	case sure <= 0:
		return well("this machine's clock agrees with that of " + c.host)
	}
	return well(seen)
}
