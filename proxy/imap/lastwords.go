package imap

import (
	"bytes"
	"strconv"

	"oauthproxy/internal/remedy"
	"oauthproxy/proxy"
)

// lastWords are those of Exchange in a session that it has ended. Messages are
// in literals (RFC 9051 section 4.3), which are counted and not looked at: what
// is kept is Exchange's own, whatever a message says.
type lastWords struct {
	proxy.Tail
	literal uint64 // octets of one that have to come yet
}

// Hear implements [proxy.LastWords]. It costs nothing for each octet of a
// literal, and a small copy for each line outside.
func (w *lastWords) Hear(p []byte) {
	for len(p) > 0 {
		if w.literal > 0 {
			passed := min(w.literal, uint64(len(p)))
			p, w.literal = p[passed:], w.literal-passed
			continue
		}
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			w.Tail.Hear(p)
			return
		}
		w.Tail.Hear(p[:end])
		w.literal = literalBehind(w.Bytes())
		p = p[end:]
	}
}

// literalBehind returns the length of the literal that a line ends with the
// announcement of; 0: none.
func literalBehind(line []byte) uint64 {
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	line, ok := bytes.CutSuffix(line, []byte("}"))
	if !ok {
		return 0
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return 0
	}
	length, err := strconv.ParseUint(string(line[open+1:]), 10, 63)
	if err != nil {
		return 0 // no length, but text
	}
	return length
}

// Lines implements [proxy.LastWords].
func (w *lastWords) Lines() []string {
	if w.literal > 0 {
		return nil
	}
	return w.Tail.Lines()
}

// Why implements [proxy.LastWords]. The end of a token counts above all that
// follows; else a BYE tells why, or the refused command before it. Behind
// LOGOUT's BYE the tagged OK follows.
func (*lastWords) Why(lines []string) *proxy.Failure {
	if len(lines) == 0 {
		return proxy.Lose("in the middle of a line, or without a word")
	}
	said := make([]response, len(lines))
	for i, line := range lines {
		said[i] = parseResponse([]byte(line))
		if isExpired(said[i]) && (isBye(said[i]) || isNo(said[i])) {
			return ending(said[i])
		}
	}
	last := len(said) - 1
	bye := last
	if bye > 0 && !isBye(said[bye]) && said[bye].tag != "*" {
		bye--
	}
	switch {
	case !isBye(said[bye]):
		return ending(said[last])
	case said[last].name == "OK":
		return nil
	case bye > 0 && !isKnown(said[bye]) && isKnown(said[bye-1]) && isNo(said[bye-1]):
		return ending(said[bye-1])
	}
	return ending(said[bye])
}

// ending is the reason that a response gives for the end of a session. Of a
// refused command only what is known tells something, in our own words.
func ending(r response) *proxy.Failure {
	switch {
	case isBye(r):
		f := refusal(r)
		f.Kind, f.Lost = proxy.UpstreamUnreachable, true
		return f
	case isKnown(r) && isNo(r):
		f := proxy.Lose("behind a refused command")
		f.Explain("imap", string(r.line))
		return f
	}
	return proxy.Lose("without saying why")
}

func isBye(r response) bool { return r.tag == "*" && r.name == "BYE" }

// isNo tells whether a command was refused; an untagged response may do so too.
func isNo(r response) bool { return r.name == "NO" || r.name == "BAD" }

func isKnown(r response) bool {
	_, known := remedy.ByReply("imap", string(r.line))
	return known
}
