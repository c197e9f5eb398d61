package kube

import (
	"context"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// Requests per second that one replica may send at most (INV-53). What an action or an
// incident needs, what nothing waits for, the watches and the lease have budgets of their
// own, so that none of them waits behind another.
const (
	requestQPS, requestBurst       = 30, 60
	backgroundQPS, backgroundBurst = 10, 20
	watchQPS, watchBurst           = 40, 80
	leaseQPS, leaseBurst           = 5, 10
)

type backgroundKey struct{}

// Background marks the requests of a context as work that nothing waits for: they have a
// budget of their own, and no action queues behind them.
func Background(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

// lanes is a limiter for requests that are waited for, with another for those in the background.
type lanes struct {
	flowcontrol.RateLimiter
	background flowcontrol.RateLimiter
}

func newLanes() lanes {
	return lanes{flowcontrol.NewTokenBucketRateLimiter(requestQPS, requestBurst),
		flowcontrol.NewTokenBucketRateLimiter(backgroundQPS, backgroundBurst)}
}

// Wait is all that client-go asks of a limiter before it sends a request.
func (l lanes) Wait(ctx context.Context) error {
	if ctx.Value(backgroundKey{}) != nil {
		return l.background.Wait(ctx)
	}
	return l.RateLimiter.Wait(ctx)
}

func limited(cfg *rest.Config, by flowcontrol.RateLimiter) *rest.Config {
	own := rest.CopyConfig(cfg)
	own.RateLimiter = by
	return own
}
