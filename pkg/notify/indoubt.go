package notify

import (
	"context"
)

// doubt is the key of what a context says of an attempt.
type doubt struct{}

// WithDoubt says of an attempt whether one before it failed.
func WithDoubt(ctx context.Context, failed bool) context.Context {
	return context.WithValue(ctx, doubt{}, failed)
}

// InDoubt reports whether an attempt before this one failed: what was sent then may
// have arrived all the same, and its answer be lost. What ends meanwhile has to be
// ended there, too.
func InDoubt(ctx context.Context) bool {
	failed, _ := ctx.Value(doubt{}).(bool)
	return failed
}
