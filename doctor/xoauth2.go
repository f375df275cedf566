package doctor

import (
	"encoding/base64"

	gosasl "github.com/emersion/go-sasl"

	"oauthproxy/internal/sasl"
	"oauthproxy/internal/wire"
)

// xoauth2 is the client's side of the mechanism for go-imap and go-smtp.
type xoauth2 struct {
	message   []byte
	isSaid    bool // the message
	isRefused bool // in the mechanism's own form
	twoSteps  bool
}

var _ gosasl.Client = (*xoauth2)(nil)

// newXOAUTH2 makes it for a user and a token. With twoSteps the message waits
// for the server's challenge: a token is longer than a line of SMTP may be.
func newXOAUTH2(user string, token wire.Secret, twoSteps bool) (*xoauth2, error) {
	blob, err := sasl.XOAUTH2(user, token)
	if err != nil {
		return nil, err
	}
	message, err := base64.StdEncoding.DecodeString(blob.Reveal())
	return &xoauth2{message: message, twoSteps: twoSteps}, err
}

// Start begins.
func (x *xoauth2) Start() (mechanism string, initial []byte, err error) {
	if x.twoSteps {
		return "XOAUTH2", nil, nil
	}
	x.isSaid = true
	return "XOAUTH2", x.message, nil
}

// Next answers a challenge: the first with the message, and the one in which a
// server refuses it, an error in JSON, with nothing. The refusal follows.
// Exchange is not known to send that one.
func (x *xoauth2) Next([]byte) ([]byte, error) {
	switch {
	case x.isRefused:
		return nil, nonsense("one challenge more")
	case x.isSaid:
		x.isRefused = true
		return []byte{}, nil
	}
	x.isSaid = true
	return x.message, nil
}
