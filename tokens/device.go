package tokens

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// byDeviceCode shows a code (RFC 8628) and waits until the person has entered
// it somewhere.
func (s *delegated) byDeviceCode(ctx context.Context, d Dialog) (*signedIn, *Error) {
	poll := &poller{next: s.client.Transport}
	client := *s.client
	client.Transport = poll
	kept := &memory{}
	msal, err := s.newClient(&client, kept)
	if err != nil {
		return nil, s.explain(err)
	}
	code, failure := s.askDeviceCode(ctx, msal)
	if failure != nil {
		return nil, failure
	}
	poll.start(time.Duration(code.Result.Interval) * time.Second)
	ctx, cancel := context.WithTimeout(ctx, min(time.Until(code.Result.ExpiresOn), deviceCodeTimeout))
	defer cancel()
	end, _ := ctx.Deadline()
	d.Code(DeviceCode{
		URL: quotableAddress(code.Result.VerificationURL), UserCode: quote(code.Result.UserCode, maxWords, maxWords), Expires: end,
	})
	result, err := code.AuthenticationResult(ctx) // ends with the code
	if err != nil {
		return nil, s.explainDevice(err, poll)
	}
	return s.admit(result, kept)
}

func (s *delegated) askDeviceCode(ctx context.Context, msal public.Client) (public.DeviceCode, *Error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	code, err := msal.AcquireTokenByDeviceCode(ctx, s.account.App.Scopes)
	if err != nil {
		return public.DeviceCode{}, s.explain(err)
	}
	if code.Result.UserCode == "" || !isWebAddress(quotableAddress(code.Result.VerificationURL)) {
		return public.DeviceCode{}, &Error{Class: TryLater, Text: "the answer is not one of Entra ID's: " + somethingBetween}
	}
	return code, nil
}

// isWebAddress tells whether people may be sent to the address: by https, or to
// this machine.
func isWebAddress(text string) bool {
	address, err := url.Parse(text)
	if err != nil || address.Host == "" {
		return false
	}
	ip, _ := netip.ParseAddr(address.Hostname())
	return address.Scheme == "https" || address.Scheme == "http" && (ip.IsLoopback() || address.Hostname() == "localhost")
}

// quotableAddress makes an address of Entra ID's safe to show. A long one is
// kept whole, unlike other words.
func quotableAddress(address string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, address[:min(len(address), maxAddress)])
}

// maxAddress is the longest address that browsers and terminals bear.
const maxAddress = 2000

// deviceEnds are the ends of the flow (RFC 8628 section 3.5). Entra ID doesn't
// always give a number, and most numbers say less; but a policy that blocks has
// the same names as a person who declines.
var deviceEnds = map[string]string{
	"authorization_declined": "the sign-in was declined: start it again",
	"access_denied":          "the sign-in was declined: start it again",
	"expired_token":          "the code wasn't entered in time: start the sign-in again",
	"bad_verification_code":  "Entra ID doesn't know the code any more: start the sign-in again",
}

// explainDevice looks at the last refusal of the poll: MSAL has used up the
// body of the answer in its error.
func (s *delegated) explainDevice(err error, poll *poller) *Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Class: PersonNeeded, Text: deviceEnds["expired_token"]}
	}
	refusal := poll.refusal
	if refusal == nil || refusal.isPending() {
		return s.explain(err)
	}
	failure := refusal.body.explain(refusal.status, nil)
	numberTellsMore := failure.AADSTS != 0 && (failure.Class == AdministratorNeeded || failure.Class == SetUpWrong)
	if text, found := deviceEnds[refusal.body.Error]; found && !numberTellsMore {
		failure.Class, failure.Text = PersonNeeded, text
	}
	return failure
}
