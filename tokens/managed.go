package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
)

// managedIdentity is the source of FlowManagedIdentity: a service of the
// machine, in Azure or connected to it, gives the token.
type managedIdentity struct {
	app    App
	client *http.Client
}

// pastTheCache makes MSAL ask. It keeps these tokens in a cache of the whole
// process, by rules of its own, and looks there unless it is given claims; it
// doesn't send them anywhere.
const pastTheCache = "{}"

func (s *managedIdentity) fetch(ctx context.Context) (Token, *Error) {
	var identity managedidentity.ID = managedidentity.SystemAssigned()
	if s.app.ManagedIdentityClientID != "" {
		identity = managedidentity.UserAssignedClientID(s.app.ManagedIdentityClientID)
	}
	// Back-off is the entry's work.
	client, err := managedidentity.New(identity, managedidentity.WithHTTPClient(s.client), managedidentity.WithRetryPolicyDisabled())
	if err != nil {
		return Token{}, &Error{Class: SetUpWrong, Text: "this machine can't give such a managed identity: " + quotable(err.Error())}
	}
	result, err := client.AcquireToken(ctx, s.app.Scopes[0], managedidentity.WithClaims(pastTheCache))
	if err != nil {
		return Token{}, explainManaged(err)
	}
	return newToken(result.AccessToken, result.ExpiresOn)
}

// explainManaged turns MSAL's error into ours; like explain, it never passes
// MSAL's text on.
func explainManaged(err error) *Error {
	var answer msal.CallErr
	if errors.As(err, &answer) && answer.Resp != nil {
		return explainManagedAnswer(answer.Resp)
	}
	failure := explain(err)
	if _, text := explainNetwork(err); text != "" {
		failure.Text = "the managed identity's endpoint can't be reached: " + text + "; it exists only on machines in Azure, or connected by Azure Arc"
	} else if failure.Err == nil {
		failure.Text = "the answer of the managed identity's endpoint can't be used"
	}
	return failure
}

// explainManagedAnswer goes by the status: MSAL has used up the body.
func explainManagedAnswer(response *http.Response) *Error {
	failure := &Error{RetryAfter: retryAfter(response.Header.Get("Retry-After"), time.Now())}
	switch status := response.StatusCode; status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		failure.Class = SetUpWrong
		failure.Text = fmt.Sprintf("this machine has no such managed identity (status %d): assign one to it, and check managed_identity_client_id", status)
	default:
		failure.Text = fmt.Sprintf("the managed identity's endpoint has a fault (status %d)", status)
	}
	return failure
}
