package doctor

import "context"

// entra looks at the tenants' discovery documents and the clock.
func (e *examination) entra(ctx context.Context) {}
