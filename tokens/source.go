package tokens

import (
	"context"
	"net/http"
)

// source is a way to one token. Each call asks Entra ID: keeping tokens and
// sparing requests is the entry's work. The error lacks only the account.
type source interface {
	fetch(ctx context.Context) (Token, *Error)
}

// newSource returns the source for the account's flow, also as the delegated
// one where a person signs in. The app has been checked.
func newSource(account Account, client *http.Client, o Options) (source, *delegated) {
	app := account.App
	switch {
	case app.Flow == FlowManagedIdentity:
		return &managedIdentity{app: app, client: guardedLocal(o.HTTPClient)}, nil
	case app.Flow.hasPerson():
		person := &delegated{account: account, client: client, store: o.Store, log: o.Log}
		return person, person
	}
	return &application{app: app, client: client}, nil
}
