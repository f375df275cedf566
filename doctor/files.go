package doctor

import "context"

// files looks at the permissions of files.
func (e *examination) files(ctx context.Context) {}
