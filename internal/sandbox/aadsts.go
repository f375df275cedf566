package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// entraError is a refusal of the token service. The numbers are documented by
// Microsoft; the words are those seen in public logs and may change without
// notice.
type entraError struct {
	status int    // HTTP
	code   string // "error": RFC 6749 section 5.2 and Entra's own
	number int    // AADSTS
	text   string // {client}, {tenant}, {scope} and {grant} are filled in
	sub    string // "suberror"
}

// entraErrors is the table of the refusals that the stand-in knows.
var entraErrors = []entraError{
	{400, "invalid_request", 90002, "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", ""},
	{400, "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'.", ""},
	{400, "invalid_request", 9001023, "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.", ""},
	{400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type '{grant}'.", ""},
	{400, "unauthorized_client", 700016, "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", ""},
	{400, "unauthorized_client", 7000112, "Application '{client}' is disabled.", ""},
	{401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'.", ""},
	{401, "invalid_client", 7000222, "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.", ""},
	{401, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.", ""},
	{401, "invalid_client", 700027, "The certificate with identifier used to sign the client assertion is not registered on application.", ""},
	{400, "invalid_scope", 1002012, "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", ""},
	{400, "invalid_scope", 70011, "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid.", ""},
	{400, "invalid_resource", 500011, "The resource principal named {scope} was not found in the tenant named {tenant}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.", ""},
	{400, "invalid_grant", 65001, "The user or administrator has not consented to use the application with ID '{client}'. Send an interactive authorization request for this user and resource.", "consent_required"},
	{400, "invalid_grant", 53003, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.", "message_only"},
	{400, "invalid_grant", 50076, "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource.", "basic_action"},
	{400, "invalid_grant", 50173, "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password.", "bad_token"},
	{400, "invalid_grant", 700082, "The refresh token has expired due to inactivity. The token was issued and was inactive for 90.00:00:00.", "bad_token"},
	{400, "invalid_grant", 70043, "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.", "token_expired"},
	{400, "invalid_grant", 50196, "The server terminated an operation because it encountered a client request loop. Please contact your app vendor.", ""},
	{400, "temporarily_unavailable", 90055, "The server is terminating the request because it has received too many requests from the tenant.", ""},
	{503, "temporarily_unavailable", 90033, "A transient error has occurred. Please try again.", ""},
}

// findEntraError returns the refusal with that AADSTS number. One that is not
// in the table is an invalid_request without words of its own.
func findEntraError(number int) entraError {
	for _, e := range entraErrors {
		if e.number == number {
			return e
		}
	}
	return entraError{http.StatusBadRequest, "invalid_request", number, "The request was refused.", ""}
}

// write answers r with the refusal in Entra's JSON.
func (e entraError) write(w http.ResponseWriter, r *http.Request) {
	text := strings.NewReplacer(
		"{client}", r.PostFormValue("client_id"),
		"{tenant}", r.PathValue("tenant"),
		"{scope}", r.PostFormValue("scope"),
		"{grant}", r.PostFormValue("grant_type"),
	).Replace(e.text)
	stamp := time.Now().UTC().Format("2006-01-02 15:04:05Z")
	trace := newGUID()
	correlation := r.Header.Get("client-request-id")
	if correlation == "" {
		correlation = newGUID()
	}
	answer := map[string]any{
		"error": e.code,
		"error_description": fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s",
			e.number, text, trace, correlation, stamp),
		"error_codes":    []int{e.number},
		"timestamp":      stamp,
		"trace_id":       trace,
		"correlation_id": correlation,
		"error_uri":      fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", e.number),
	}
	if e.sub != "" {
		answer["suberror"] = e.sub
	}
	writeJSON(w, e.status, answer)
}
