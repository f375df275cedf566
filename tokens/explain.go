package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"

	"oauthproxy/internal/remedy"
	"oauthproxy/internal/wire"
)

// explain turns an error of MSAL's into ours. MSAL's text is never passed on:
// it repeats the whole answer, with the tokens in it. secrets are what the
// request was sent with, so that an answer that echoes them can be kept back.
func explain(err error, secrets ...wire.Secret) *Error {
	var answer msal.CallErr // by value, that is how MSAL returns it
	if errors.As(err, &answer) && answer.Resp != nil {
		return explainAnswer(answer.Resp, secrets)
	}
	var (
		tooLarge *http.MaxBytesError
		proxy    *throughProxy
	)
	switch {
	case errors.Is(err, context.Canceled):
		return &Error{Class: TryLater, Text: "the program is shutting down", Err: context.Canceled}
	case errors.As(err, &tooLarge), errors.As(err, new(msal.InvalidJsonErr)):
		return &Error{Class: TryLater, Text: "the answer is not one of Entra ID's: " + somethingBetween}
	case errors.Is(err, errNotHTTPS):
		return &Error{Class: SetUpWrong, Text: errNotHTTPS.Error() + ": check the authority"}
	case errors.Is(err, errElsewhere):
		return &Error{Class: SetUpWrong, Text: errElsewhere.Error() + ": check the authority"}
	case errors.As(err, &proxy):
		return proxy.explain()
	case strings.Contains(err.Error(), "declined scopes are present"): // known by MSAL's words alone
		return &Error{Class: SetUpWrong, Text: "Entra ID gave other scopes than were asked for: check scopes, and API permissions of the app registration"}
	}
	if r, text := explainNetwork(err); text != "" {
		return &Error{Class: TryLater, Text: "Entra ID can't be reached: " + text, Remedy: r.ID}
	}
	return &Error{Class: TryLater, Text: "Entra ID's answer can't be used: check the authority and the tenant; " + somethingBetween}
}

const somethingBetween = "a web proxy or a network's sign-in page may stand between"

// explainNetwork tells what is known about an error of the network, in words
// that are safe to show; else it returns "".
func explainNetwork(err error) (remedy.Remedy, string) {
	if r, facts, found := remedy.ByError(err); found {
		r = r.Fill(facts)
		return r, r.Says + ": " + r.Do
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return remedy.Remedy{}, number.Error()
	}
	return remedy.Remedy{}, ""
}

// tokenError is the body of an error answer (RFC 6749 section 5.2, with
// Entra's additions).
type tokenError struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
}

func explainAnswer(response *http.Response, secrets []wire.Secret) *Error {
	now := time.Now()
	var body tokenError
	// MSAL has read the body already, within our bound; this is its copy.
	data, _ := io.ReadAll(io.LimitReader(response.Body, maxBody))
	// A field of an unexpected type is no reason to throw the others away.
	_ = json.Unmarshal(data, &body)
	failure := body.explain(response.StatusCode, secrets)
	failure.RetryAfter = retryAfter(response.Header.Get("Retry-After"), now)
	failure.Text += clockHint(response.Header.Get("Date"), now)
	return failure
}

// explain tells what an answer means that has this body and status.
func (t *tokenError) explain(status int, secrets []wire.Secret) *Error {
	if t.Error == "" {
		class, text := explainStatus(status)
		return &Error{Class: class, Text: text}
	}
	failure, known := explainNumber(t.code())
	// While Entra ID has a fault the next answer may be another one.
	if !known || failure.Class != TryLater && passes(status) {
		failure = &Error{AADSTS: t.code(), Class: classOf(t.Error, status), Text: "Entra ID refused: " + t.words(secrets)}
		if failure.AADSTS != 0 {
			failure.Text += "; look it up: " + remedy.LookUp(failure.AADSTS)
		}
	}
	failure.TraceID, failure.CorrelationID = identifier(t.TraceID), identifier(t.CorrelationID)
	return failure
}

// passes tells whether answers of that status end by themselves.
func passes(status int) bool { return status == http.StatusTooManyRequests || status >= 500 }

// maxSkew is what Entra ID bears of a client's clock.
const maxSkew = 5 * time.Minute

// clockHint compares this machine's clock with the Date of an answer: a wrong
// clock is behind many refusals, above all of signatures.
func clockHint(date string, now time.Time) string {
	theirs, err := http.ParseTime(date)
	if err != nil {
		return ""
	}
	switch ahead := now.Sub(theirs).Round(time.Second); {
	case ahead > maxSkew:
		return fmt.Sprintf(" (this machine's clock is %v ahead of Entra ID's)", ahead)
	case ahead < -maxSkew:
		return fmt.Sprintf(" (this machine's clock is %v behind Entra ID's)", -ahead)
	}
	return ""
}

// explainStatus is for answers that are no JSON of Entra's, but e.g. the plain
// text of a throttled one.
func explainStatus(status int) (Class, string) {
	switch {
	case status == http.StatusTooManyRequests:
		return TryLater, "Entra ID gets too many requests (status 429)"
	case status >= 500:
		return TryLater, fmt.Sprintf("Entra ID has a fault (status %d)", status)
	case status >= 300 && status < 400:
		return TryLater, fmt.Sprintf("Entra ID's address redirects elsewhere (status %d): check the authority; %s", status, somethingBetween)
	case status == http.StatusNotFound:
		return SetUpWrong, "there is no Entra ID tenant at this address (status 404): check the authority and the tenant"
	}
	return TryLater, fmt.Sprintf("the answer is not one of Entra ID's (status %d): %s", status, somethingBetween)
}

// classOf judges by RFC 6749's error where Entra's number is unknown.
func classOf(name string, status int) Class {
	if passes(status) {
		return TryLater
	}
	switch name {
	case "invalid_grant", "interaction_required", "login_required":
		return PersonNeeded
	case "consent_required", "access_denied":
		return AdministratorNeeded
	case "invalid_client", "unauthorized_client", "invalid_request", "invalid_scope", "invalid_resource",
		"unsupported_grant_type":
		return SetUpWrong
	}
	return TryLater
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110
// section 10.2.3). Anything else is 0.
func retryAfter(value string, now time.Time) time.Duration {
	// What is too large for an int is the largest or the smallest one.
	if seconds, err := strconv.Atoi(value); err == nil || errors.Is(err, strconv.ErrRange) {
		// Bounded here, so that a large number can't overflow.
		return time.Duration(max(0, min(seconds, int(maxRetryAfter/time.Second)))) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}
