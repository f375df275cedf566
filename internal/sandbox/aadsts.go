package sandbox

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// entraError is a refusal of the token service. Most numbers are documented by
// Microsoft; 28000, 530036, 700024, 700211 and 700213 are reported, 500112 and
// 700212 are guesses. The words are those seen in public logs and may change
// without notice.
type entraError struct {
	status int    // HTTP
	code   string // "error": RFC 6749 section 5.2 and Entra's own
	number int    // AADSTS
	text   string // {client}, {tenant}, {scope} and others are filled in
	sub    string // "suberror"
}

// entraErrors is the table of the refusals that the stand-in knows.
var entraErrors = []entraError{
	{400, "invalid_request", 90002, "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", ""},
	{400, "invalid_request", 90038, "The specified tenant '{tenant}' belongs to the National Cloud 'microsoftonline.us'. Current cloud instance 'microsoftonline.com' does not federate with microsoftonline.us. A cloud redirect error is returned.", ""},
	{400, "invalid_request", 900382, "Confidential Client is not supported in Cross Cloud request.", ""},
	{400, "invalid_request", 900144, "The request body must contain the following parameter: '{missing}'.", ""},
	{400, "invalid_request", 9001023, "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.", ""},
	{400, "invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.", ""},
	{400, "invalid_request", 50059, "No tenant-identifying information found in either the request or implied by any provided credentials.", ""},
	{400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type '{grant}'.", ""},
	{400, "unauthorized_client", 700016, "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", ""},
	{400, "unauthorized_client", 7000112, "Application '{client}' is disabled.", ""},
	{401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'.", ""},
	{401, "invalid_client", 7000222, "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.", ""},
	{401, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.", ""},
	{401, "invalid_client", 700027, "The certificate with identifier used to sign the client assertion is not registered on application.", ""},
	{400, "invalid_client", 650057, "Invalid resource. The client has requested access to a resource which is not listed in the requested permissions in the client's application registration. Client app ID: {client}. Resource value from request: {scope}. List of valid resources from app registration: 00000003-0000-0000-c000-000000000000.", ""},
	{401, "invalid_client", 50013, "Assertion failed validation.", ""},
	{401, "invalid_client", 700211, "No matching federated identity record found for presented assertion issuer.", ""},
	{401, "invalid_client", 700212, "No matching federated identity record found for presented assertion audience.", ""},
	{401, "invalid_client", 700213, "No matching federated identity record found for presented assertion subject.", ""},
	{401, "invalid_client", 700024, "Client assertion is not within its valid time range.", ""},
	{401, "invalid_client", 700025, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.", ""},
	{400, "invalid_scope", 1002012, "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", ""},
	{400, "invalid_scope", 70011, "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid.", ""},
	{400, "invalid_scope", 28000, "Provided value for the input parameter scope is not valid because it contains more than one resource. Scope {scope} is not valid.", ""},
	{400, "invalid_resource", 500011, "The resource principal named {scope} was not found in the tenant named {tenant}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.", ""},
	{400, "invalid_grant", 65001, "The user or administrator has not consented to use the application with ID '{client}'. Send an interactive authorization request for this user and resource.", "consent_required"},
	{400, "invalid_grant", 53003, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.", "message_only"},
	{400, "invalid_grant", 50076, "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource.", "basic_action"},
	{400, "invalid_grant", 50173, "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password.", "bad_token"},
	{400, "invalid_grant", 700082, "The refresh token has expired due to inactivity. The token was issued and was inactive for 90.00:00:00.", "bad_token"},
	{400, "invalid_grant", 70043, "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.", "token_expired"},
	{400, "invalid_grant", 70008, "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.", ""},
	{400, "invalid_grant", 54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.", ""},
	{400, "invalid_grant", 501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request.", ""},
	{400, "invalid_grant", 700005, "Provided Authorization Code is intended to use against other tenant, thus rejected.", ""},
	{400, "invalid_grant", 50126, "Error validating credentials due to invalid username or password.", ""},
	{400, "invalid_grant", 50034, "The user account does not exist in the {tenant} directory. To sign into this application, the account must be added to the directory.", ""},
	{400, "invalid_grant", 50053, "The account is locked, you've tried to sign in too many times with an incorrect user ID or password.", ""},
	{400, "invalid_grant", 50057, "The user account is disabled.", ""},
	{400, "invalid_grant", 530036, "Access has been blocked by Conditional Access policies. The device code flow is not allowed.", "message_only"},
	{400, "invalid_client", 500112, "The reply address '{redirect}' does not match the reply address provided when requesting Authorization code.", ""},

	// The device code flow. Numbers and words of all but the first and the
	// third are guesses.
	{400, "authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending. Continue polling.", ""},
	{400, "bad_verification_code", 70018, "Invalid verification code.", ""},
	{400, "expired_token", 70020, "The provided value for the input parameter 'device_code' is not valid. This device code has expired.", ""},
	{400, "authorization_declined", 90120, "The request was already authorized or declined.", ""},

	// At the authorize endpoint.
	{400, "invalid_request", 50011, "The redirect URI '{redirect}' specified in the request does not match the redirect URIs configured for the application '{client}'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal.", ""},
	{400, "invalid_request", 900971, "No reply address provided.", ""},
	{400, "unsupported_response_type", 700054, "response_type '{type}' is not enabled for the application.", ""},
	{400, "invalid_request", 70007, "'response_mode' is an unsupported value when requesting a token.", ""},
	{400, "invalid_request", 90023, "Unsupported 'prompt' value.", ""},
	{400, "invalid_request", 50147, "Missing code challenge, or invalid size of Code_Challenge parameter.", ""},
	{400, "login_required", 50058, "Session information is not sufficient for single-sign-on.", ""},
	{400, "access_denied", 65004, "User declined to consent to access the app.", ""},

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

// slowDown refuses a poll that came too soon (RFC 8628 section 3.5). Its
// number and words are a guess.
var slowDown = entraError{http.StatusBadRequest, "slow_down", 70016, "The client polls too fast. Slow down.", ""}

// describe is the error_description: for people, with what support asks for.
func (e entraError) describe(r *http.Request) string {
	stamp := time.Now().UTC()
	return e.description(r, newGUID(), correlationID(r), stamp.Format(entraTime))
}

const entraTime = "2006-01-02 15:04:05Z"

func (e entraError) description(r *http.Request, trace, correlation, stamp string) string {
	text := strings.NewReplacer(
		"{client}", r.FormValue("client_id"),
		"{tenant}", r.PathValue("tenant"),
		"{scope}", r.FormValue("scope"),
		"{grant}", r.FormValue("grant_type"),
		"{redirect}", r.FormValue("redirect_uri"),
		"{type}", r.FormValue("response_type"),
		"{missing}", missingParameter(r),
	).Replace(e.text)
	return fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s",
		e.number, text, trace, correlation, stamp)
}

// missingParameter is the first parameter that a request must have and has
// not.
func missingParameter(r *http.Request) string {
	required := []string{"client_id", "scope", "grant_type"}
	if r.FormValue("client_assertion") != "" {
		required = append(required, "client_assertion_type")
	}
	for _, name := range required {
		if r.FormValue(name) == "" {
			return name
		}
	}
	return required[0]
}

func (e entraError) uri() string {
	return fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", e.number)
}

// correlationID is the one that the client has sent, or a new one.
func correlationID(r *http.Request) string {
	return cmp.Or(r.Header.Get("client-request-id"), newGUID())
}

// write answers r with the refusal in Entra's JSON.
func (e entraError) write(w http.ResponseWriter, r *http.Request) {
	stamp, trace, correlation := time.Now().UTC().Format(entraTime), newGUID(), correlationID(r)
	answer := map[string]any{
		"error":             e.code,
		"error_description": e.description(r, trace, correlation, stamp),
		"error_codes":       []int{e.number},
		"timestamp":         stamp,
		"trace_id":          trace,
		"correlation_id":    correlation,
		"error_uri":         e.uri(),
	}
	if e.sub != "" {
		answer["suberror"] = e.sub
	}
	writeJSON(w, e.status, answer)
}
