package promql

import (
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	promstorage "github.com/prometheus/prometheus/storage"
)

type targetsKey struct{}

// ForTargets limits questions to the embedded engine to the series of the given targets:
// each of its selectors gets one more matcher. An answer may still hold other targets, as
// more than MaxTargets are not limited, and sources that do not know of it answer all.
func ForTargets(ctx context.Context, targets []string) context.Context {
	if len(targets) > MaxTargets {
		return ctx
	}
	m, err := targetMatcher(targets)
	if err != nil {
		return ctx // a name that no matcher can hold
	}
	return context.WithValue(ctx, targetsKey{}, m)
}

// ForAll takes the limit of ForTargets off.
func ForAll(ctx context.Context) context.Context {
	if !IsLimited(ctx) {
		return ctx
	}
	return context.WithValue(ctx, targetsKey{}, (*labels.Matcher)(nil))
}

// IsLimited reports whether ForTargets limits the questions under ctx.
func IsLimited(ctx context.Context) bool { return limit(ctx) != nil }

func limit(ctx context.Context) *labels.Matcher {
	m, _ := ctx.Value(targetsKey{}).(*labels.Matcher)
	return m
}

// limited is a Queryable whose selectors have one more matcher.
type limited struct {
	promstorage.Queryable
	m *labels.Matcher
}

func (l limited) Querier(mint, maxt int64) (promstorage.Querier, error) {
	q, err := l.Queryable.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return limitedQuerier{q, l.m}, nil
}

type limitedQuerier struct {
	promstorage.Querier
	m *labels.Matcher
}

func (q limitedQuerier) Select(ctx context.Context, sorted bool, hints *promstorage.SelectHints,
	matchers ...*labels.Matcher) promstorage.SeriesSet {
	return q.Querier.Select(ctx, sorted, hints, append(slices.Clone(matchers), q.m)...)
}
