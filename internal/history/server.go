package history

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"watchdog.io/watchdog/pkg/promql"
)

// OpenServer asks a Prometheus, or what speaks its API. Ranges are asked for in
// pieces that fit into an answer.
func OpenServer(o promql.RemoteOptions) (*Source, error) {
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	ask, err := promql.NewRemote(o)
	if err != nil {
		return nil, err
	}
	over, err := promql.NewRemoteRange(o)
	if err != nil {
		return nil, err
	}
	return &Source{Name: o.URL, Query: ask, Range: over, Raw: server{over}, Close: func() error { return nil }}, nil
}

// server gives samples of a server one by one, for expressions that need them beside
// what rules of this run have recorded. The API has no way to ask for samples by their
// own times in ranges of any length, so they are asked for every 15 seconds.
type server struct{ over promql.RangeFunc }

const sampling = 15 * time.Second

func (s server) Querier(mint, maxt int64) (storage.Querier, error) {
	return serverQuerier{server: s, mint: mint, maxt: maxt}, nil
}

type serverQuerier struct {
	unlisted
	server
	mint, maxt int64
}

func (q serverQuerier) Select(ctx context.Context, sorted bool, _ *storage.SelectHints,
	matchers ...*labels.Matcher) storage.SeriesSet {
	var texts []string
	for _, m := range matchers {
		texts = append(texts, m.String())
	}
	end := time.UnixMilli(q.maxt).UTC()
	start := end.Add(-time.Duration(q.maxt-q.mint) * time.Millisecond / sampling * sampling)
	expr := "{" + strings.Join(texts, ",") + "}"
	lines, err := q.over(ctx, expr, start, end, sampling)
	if err != nil && !promql.Warned(err) {
		return storage.ErrSeriesSet(fmt.Errorf("samples of %s: %w", expr, err))
	}
	set := &blockSeries{}
	for _, l := range lines {
		var all []chunks.Sample
		for _, d := range l.Points {
			if !d.Histogram {
				all = append(all, number{d.At, d.Value})
			}
		}
		set.all = append(set.all, storage.NewListSeries(l.Labels, all))
	}
	if sorted {
		slices.SortFunc(set.all, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	}
	return set
}
