package doctor

import "context"

// accounts gets a token for each account and logs in with it.
func (e *examination) accounts(ctx context.Context) {}
