package tokens

import (
	"fmt"

	"oauthproxy/internal/remedy"
)

var classes = map[remedy.Class]Class{
	remedy.Later:         TryLater,
	remedy.Person:        PersonNeeded,
	remedy.Administrator: AdministratorNeeded,
	remedy.SetUp:         SetUpWrong,
}

// explainNumber tells what one of Entra's error numbers means.
func explainNumber(number int) (failure *Error, known bool) {
	r, known := remedy.ByAADSTS(number)
	if !known {
		return nil, false
	}
	r = r.Fill(nil)
	return &Error{
		Class: classes[r.Class], AADSTS: number, Remedy: r.ID,
		Text: fmt.Sprintf("%s (AADSTS%d): %s", r.Says, number, r.Do),
	}, true
}
