package history

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// maxRecording bounds a recording in OpenMetrics: its samples are held in memory.
const maxRecording = 2 << 30

// OpenRecording reads samples with times in OpenMetrics, as `promtool tsdb
// dump-openmetrics` writes them. They are held in memory.
func OpenRecording(path string) (*Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(bufio.NewReader(f), maxRecording+1))
	if err != nil {
		return nil, fmt.Errorf("open recording %s: %w", path, err)
	}
	if len(text) > maxRecording {
		return nil, fmt.Errorf("open recording %s: larger than %d GiB; make blocks of it (promtool tsdb "+
			"create-blocks-from openmetrics) and give their folder", path, maxRecording>>30)
	}
	r, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("open recording %s: %w", path, err)
	}
	s := From(path, r)
	s.Begin, s.End = time.UnixMilli(r.first).UTC(), time.UnixMilli(r.last).UTC()
	return s, nil
}

// recording is a storage.Queryable over samples in memory.
type recording struct {
	series      []*recorded
	first, last int64
}

type recorded struct {
	labels  labels.Labels
	samples []chunks.Sample
}

func parse(text []byte) (*recording, error) {
	p := textparse.NewOpenMetricsParser(text, labels.NewSymbolTable())
	r, byHash := &recording{}, map[uint64]*recorded{}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		_, at, v := p.Series()
		var l labels.Labels
		p.Labels(&l)
		if at == nil {
			return nil, fmt.Errorf("%s has no time", l)
		}
		if len(byHash) == 0 {
			r.first, r.last = *at, *at
		}
		r.first, r.last = min(r.first, *at), max(r.last, *at)
		s := byHash[l.Hash()]
		if s == nil {
			s = &recorded{labels: l}
			byHash[l.Hash()] = s
			r.series = append(r.series, s)
		}
		s.samples = append(s.samples, number{*at, v})
	}
	if len(r.series) == 0 {
		return nil, errors.New("it has no samples with a time")
	}
	for _, s := range r.series {
		slices.SortStableFunc(s.samples, func(a, b chunks.Sample) int { return cmp.Compare(a.T(), b.T()) })
	}
	slices.SortFunc(r.series, func(a, b *recorded) int { return labels.Compare(a.labels, b.labels) })
	return r, nil
}

func (r *recording) Querier(mint, maxt int64) (storage.Querier, error) {
	return &recordingQuerier{r: r, mint: mint, maxt: maxt}, nil
}

type recordingQuerier struct {
	unlisted
	r          *recording
	mint, maxt int64
}

func (q *recordingQuerier) Select(_ context.Context, _ bool, _ *storage.SelectHints,
	matchers ...*labels.Matcher) storage.SeriesSet {
	set := &blockSeries{}
next:
	for _, s := range q.r.series {
		for _, m := range matchers {
			if !m.Matches(s.labels.Get(m.Name)) {
				continue next
			}
		}
		from, _ := slices.BinarySearchFunc(s.samples, q.mint,
			func(x chunks.Sample, t int64) int { return cmp.Compare(x.T(), t) })
		to, _ := slices.BinarySearchFunc(s.samples, q.maxt+1,
			func(x chunks.Sample, t int64) int { return cmp.Compare(x.T(), t) })
		if from < to {
			set.all = append(set.all, storage.NewListSeries(s.labels, s.samples[from:to]))
		}
	}
	return set
}

// number is a chunks.Sample without a histogram.
type number struct {
	t int64
	f float64
}

func (n number) T() int64                    { return n.t }
func (number) ST() int64                     { return 0 }
func (n number) F() float64                  { return n.f }
func (number) H() *histogram.Histogram       { return nil }
func (number) FH() *histogram.FloatHistogram { return nil }
func (number) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (n number) Copy() chunks.Sample         { return n }

// Open opens what a path is: a folder of blocks, or a recording.
func Open(path string) (*Source, error) {
	info, err := os.Stat(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	if info.IsDir() {
		return OpenBlocks(path)
	}
	return OpenRecording(path)
}
