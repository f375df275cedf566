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

// newSource returns the source for the app's flow.
func newSource(app App, client *http.Client) (source, error) {
	if err := app.check(); err != nil {
		return nil, err
	}
	return &clientSecret{app: app, client: client}, nil
}
