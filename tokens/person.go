package tokens

import (
	"fmt"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// admit makes a sign-in of what Entra ID answered, if it was the right person
// in the right tenant.
func (s *delegated) admit(result public.AuthResult, kept *memory) (*signedIn, *Error) {
	as, failure := s.checkPerson(result)
	if failure != nil {
		return nil, failure
	}
	if failure := s.checkTenant(result); failure != nil {
		return nil, failure
	}
	if !kept.end.canRefresh() {
		return nil, &Error{Class: SetUpWrong, Text: "Entra ID gave no refresh token, so the sign-in would end within the hour: " +
			"check that the tenant allows offline_access to the application"}
	}
	token, failure := newToken(result.AccessToken, result.ExpiresOn)
	if failure != nil {
		return nil, failure
	}
	return s.newSignedIn(as, result.Account.HomeAccountID, token, kept.end), nil
}

// checkPerson compares who signed in with who should have. An ID token may
// name a person in two ways; its e-mail address isn't one, because anybody may
// have set that.
func (s *delegated) checkPerson(result public.AuthResult) (string, *Error) {
	wanted := s.account.person()
	names := []string{result.IDToken.PreferredUsername, result.IDToken.UPN}
	got := ""
	for _, name := range names {
		if strings.EqualFold(name, wanted) {
			return name, nil
		}
		if got == "" {
			got = quotableName(name)
		}
	}
	if got == "" {
		return "", &Error{Class: PersonNeeded, Text: fmt.Sprintf("Entra ID doesn't say who signed in, and only %s may: try again", wanted)}
	}
	return "", &Error{Class: PersonNeeded, Text: fmt.Sprintf(
		"%s signed in, but this account needs %s: sign in as %s, or set sign_in_as", got, wanted, wanted)}
}

// checkTenant compares the tenants where the authority names one by its GUID;
// what a domain stands for only Entra ID knows.
func (s *delegated) checkTenant(result public.AuthResult) *Error {
	wanted := identifier(s.account.App.tenant())
	if got := result.IDToken.TenantID; wanted != "" && !strings.EqualFold(got, wanted) {
		return &Error{Class: PersonNeeded, Text: fmt.Sprintf(
			"the sign-in is in tenant %q, but %s is configured: sign in with an account of that tenant, or check tenant", identifier(got), wanted)}
	}
	return nil
}

// checkSame refuses an answer to a refresh token that is about somebody else
// than old: home, or who is in the ID token. Either may be missing. The sign-in
// may be good all the same, and the next answer right.
func (s *delegated) checkSame(result public.AuthResult, home string, old *signedIn) *Error {
	isSame := home == "" || home == old.Home
	if !result.IDToken.IsZero() {
		isSame = isSame && result.Account.HomeAccountID == old.Home && s.checkTenant(result) == nil
	}
	if !isSame {
		return &Error{Class: TryLater, Text: fmt.Sprintf(
			"Entra ID's answer doesn't fit the sign-in of %s, it may be for somebody else or another tenant, and isn't used: if that lasts, sign in again", quotableName(old.SignedInAs))}
	}
	return nil
}
