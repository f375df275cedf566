package tokens

import (
	"context"
	"slices"

	"oauthproxy/internal/wire"
)

// secondFactor are Entra ID's numbers for "more than a password is needed".
var secondFactor = []int{50072, 50074, 50076, 50078, 50079, 50158}

// byPassword sends the person's password to Entra ID, once; it is kept nowhere.
func (s *delegated) byPassword(ctx context.Context, d Dialog) (*signedIn, *Error) {
	password, failure := askPassword(ctx, d)
	if failure != nil {
		return nil, failure
	}
	kept := &memory{}
	msal, err := s.newClient(s.client, kept)
	if err != nil {
		return nil, s.explain(err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	//lint:ignore SA1019 the whole flow is deprecated; who configures it has been told
	result, err := msal.AcquireTokenByUsernamePassword(ctx, s.account.App.Scopes, s.account.person(), password.Reveal())
	if err != nil {
		failure := s.explain(err, password)
		if slices.Contains(secondFactor, failure.AADSTS) {
			failure.Class = SetUpWrong
			failure.Text = "a second factor is needed, and a password alone can't give it: use the flow browser or device_code"
		}
		return nil, failure
	}
	return s.admit(result, kept)
}

func askPassword(ctx context.Context, d Dialog) (wire.Secret, *Error) {
	ctx, cancel := context.WithTimeout(ctx, signInTimeout)
	defer cancel()
	password, err := d.Password(ctx)
	if err != nil || password.IsEmpty() {
		return wire.Secret{}, &Error{Class: PersonNeeded, Text: "no password was given: start the sign-in again"}
	}
	return password, nil
}
