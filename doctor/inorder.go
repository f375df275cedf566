package doctor

import (
	"context"
	"sync"
)

// atOnce is how many probes of one kind run at a time.
const atOnce = 8

// inOrder does something with each item, a few at a time, and tells the results
// in the order of the items: begin is called when it is an item's turn, and the
// function it returns with the result. When ctx ends nothing more is told; do
// has to return then, for inOrder waits for all that it has started.
func inOrder[T, R any](ctx context.Context, items []T, do func(context.Context, T) R, begin func(T) func(R)) {
	results := make([]chan R, len(items))
	for i := range results {
		results[i] = make(chan R, 1)
	}
	next := make(chan int, len(items))
	for i := range items {
		next <- i
	}
	close(next)
	var running sync.WaitGroup
	defer running.Wait()
	for range min(atOnce, len(items)) {
		running.Go(func() {
			for i := range next {
				results[i] <- do(ctx, items[i])
			}
		})
	}
	for i, item := range items {
		if ctx.Err() != nil {
			return
		}
		tell := begin(item)
		result := <-results[i]
		if ctx.Err() != nil {
			return
		}
		tell(result)
	}
}
