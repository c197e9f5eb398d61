package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"
	"github.com/prometheus/prometheus/util/annotations"
)

// OpenBlocks reads the blocks in a folder of a Prometheus (its --storage.tsdb.path,
// or a snapshot). The write-ahead log, which holds the last two or three hours, is not
// read: a snapshot has them in a block. Nothing is written.
//
// The package tsdb itself is not used: it needs the SDKs of three clouds.
func OpenBlocks(dir string) (*Source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open the blocks in %s: %w", dir, err)
	}
	var all blocks
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := os.Stat(filepath.Join(path, "meta.json")); err != nil || !e.IsDir() {
			continue
		}
		b, err := openBlock(path)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open block %s: %w", path, err), all.close())
		}
		all = append(all, b)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("open the blocks in %s: there is none (a folder with meta.json); is it the "+
			"--storage.tsdb.path of a Prometheus, or a snapshot?", dir)
	}
	slices.SortFunc(all, func(a, b *block) int { return int(a.MinTime - b.MinTime) })
	s := From(dir, all)
	s.Begin, s.End, s.Close = time.UnixMilli(all[0].MinTime).UTC(), time.UnixMilli(0).UTC(), all.close
	for _, b := range all {
		if end := time.UnixMilli(b.MaxTime - 1).UTC(); end.After(s.End) {
			s.End = end
		}
	}
	return s, nil
}

// blocks is a storage.Queryable.
type blocks []*block

func (b blocks) close() error {
	var errs []error
	for _, x := range b {
		errs = append(errs, x.index.Close(), x.chunks.Close())
	}
	return errors.Join(errs...)
}

func (b blocks) Querier(mint, maxt int64) (storage.Querier, error) {
	var all []storage.Querier
	for _, x := range b {
		if x.MinTime <= maxt && mint < x.MaxTime {
			all = append(all, &blockQuerier{block: x, mint: mint, maxt: maxt})
		}
	}
	return storage.NewMergeQuerier(all, nil, storage.ChainedSeriesMerge), nil
}

// block is one block: its index, its chunks, and what was deleted from it.
type block struct {
	MinTime int64 `json:"minTime"`
	MaxTime int64 `json:"maxTime"` // exclusive
	Version int   `json:"version"`

	index   *index.Reader
	chunks  *chunks.Reader
	deleted tombstones.Reader
}

func openBlock(dir string) (*block, error) {
	text, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	if err != nil {
		return nil, err
	}
	b := &block{}
	if err := json.Unmarshal(text, b); err != nil {
		return nil, fmt.Errorf("meta.json: %w", err)
	}
	if b.Version != 1 {
		return nil, fmt.Errorf("meta.json: version %d is not known", b.Version)
	}
	if b.index, err = index.NewFileReader(filepath.Join(dir, "index"), index.DecodePostingsRaw); err != nil {
		return nil, err
	}
	if b.chunks, err = chunks.NewDirReader(filepath.Join(dir, "chunks"), nil); err != nil {
		return nil, errors.Join(err, b.index.Close())
	}
	if b.deleted, _, err = tombstones.ReadTombstones(dir); err != nil {
		return nil, errors.Join(err, b.index.Close(), b.chunks.Close())
	}
	return b, nil
}

type blockQuerier struct {
	unlisted
	*block
	mint, maxt int64
}

func (q *blockQuerier) Select(ctx context.Context, sorted bool, _ *storage.SelectHints,
	matchers ...*labels.Matcher) storage.SeriesSet {
	p, err := q.postings(ctx, matchers)
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	set := &blockSeries{}
	var metas []chunks.Meta
	builder := labels.NewScratchBuilder(16)
next:
	for p.Next() {
		if err := q.index.Series(p.At(), &builder, &metas); err != nil {
			return storage.ErrSeriesSet(err)
		}
		l := builder.Labels()
		for _, m := range matchers {
			if !m.Matches(l.Get(m.Name)) {
				continue next
			}
		}
		var wanted []chunks.Meta
		for _, c := range metas {
			if c.MinTime <= q.maxt && q.mint <= c.MaxTime {
				wanted = append(wanted, c)
			}
		}
		if len(wanted) == 0 {
			continue
		}
		gone, err := q.deleted.Get(p.At())
		if err != nil {
			return storage.ErrSeriesSet(err)
		}
		set.all = append(set.all, &storage.SeriesEntry{Lset: l,
			SampleIteratorFn: func(chunkenc.Iterator) chunkenc.Iterator {
				return &chunkIterator{q: q, left: wanted, deleted: gone}
			}})
	}
	if sorted {
		slices.SortFunc(set.all, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	}
	set.err = p.Err()
	return set
}

// postings narrows the search by the matchers that need a label to be there.
func (q *blockQuerier) postings(ctx context.Context, matchers []*labels.Matcher) (index.Postings, error) {
	var all []index.Postings
	for _, m := range matchers {
		switch {
		case m.Matches(""):
		case m.Type == labels.MatchEqual:
			p, err := q.index.Postings(ctx, m.Name, m.Value)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		default:
			all = append(all, q.index.PostingsForLabelMatching(ctx, m.Name, m.Matches))
		}
	}
	if len(all) == 0 {
		return q.index.Postings(ctx, "", "")
	}
	return index.Intersect(all...), nil
}

var errNotListed = errors.New("names and values of labels are not listed")

// unlisted is the part of a storage.Querier that PromQL does not ask.
type unlisted struct{}

func (unlisted) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string,
	annotations.Annotations, error) {
	return nil, nil, errNotListed
}

func (unlisted) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations,
	error) {
	return nil, nil, errNotListed
}

func (unlisted) Close() error { return nil }

type blockSeries struct {
	all []storage.Series
	at  int
	err error
}

func (s *blockSeries) Next() bool                      { s.at++; return s.at <= len(s.all) }
func (s *blockSeries) At() storage.Series              { return s.all[s.at-1] }
func (s *blockSeries) Err() error                      { return s.err }
func (*blockSeries) Warnings() annotations.Annotations { return nil }

// chunkIterator goes through the chunks of one series, within the querier's time
// and without what was deleted.
type chunkIterator struct {
	q       *blockQuerier
	left    []chunks.Meta
	deleted tombstones.Intervals
	in      chunkenc.Iterator
	on      chunkenc.ValueType // of the sample it stands on
	err     error
}

type millis = int64

// open takes the next chunk; false at the end.
func (i *chunkIterator) open() bool {
	if i.err != nil || len(i.left) == 0 {
		return false
	}
	c, iterable, err := i.q.chunks.ChunkOrIterable(i.left[0])
	if err == nil && iterable != nil {
		err = errors.New("a chunk that needs encoding in a block on disk")
	}
	if err != nil {
		i.err = err
		return false
	}
	i.left = i.left[1:]
	i.in = c.Iterator(i.in)
	return true
}

func (i *chunkIterator) Next() chunkenc.ValueType {
	i.on = i.next()
	return i.on
}

func (i *chunkIterator) next() chunkenc.ValueType {
	for i.in != nil || i.open() {
		for kind := i.in.Next(); kind != chunkenc.ValNone; kind = i.in.Next() {
			switch t := i.in.AtT(); {
			case t > i.q.maxt:
				i.left = nil
				return chunkenc.ValNone
			case t >= i.q.mint && !i.gone(t):
				return kind
			}
		}
		if i.err = i.in.Err(); i.err != nil {
			return chunkenc.ValNone
		}
		if !i.open() {
			return chunkenc.ValNone
		}
	}
	return chunkenc.ValNone
}

func (i *chunkIterator) gone(t int64) bool {
	return slices.ContainsFunc(i.deleted, func(x tombstones.Interval) bool { return x.Mint <= t && t <= x.Maxt })
}

// Seek goes on to the first sample at or after t.
func (i *chunkIterator) Seek(t millis) chunkenc.ValueType {
	if i.on != chunkenc.ValNone && i.AtT() >= t {
		return i.on
	}
	// Chunks that end before t are not opened.
	for len(i.left) > 0 && i.left[0].MaxTime < t {
		i.left, i.in = i.left[1:], nil
	}
	if len(i.left) > 0 && i.left[0].MinTime <= t {
		i.in = nil
	}
	for kind := i.Next(); kind != chunkenc.ValNone; kind = i.Next() {
		if i.AtT() >= t {
			return kind
		}
	}
	return chunkenc.ValNone
}

func (i *chunkIterator) At() (int64, float64) { return i.in.At() }
func (i *chunkIterator) AtT() int64           { return i.in.AtT() }
func (i *chunkIterator) AtST() int64          { return 0 }
func (i *chunkIterator) Err() error           { return i.err }
func (i *chunkIterator) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	return i.in.AtHistogram(h)
}
func (i *chunkIterator) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return i.in.AtFloatHistogram(h)
}
