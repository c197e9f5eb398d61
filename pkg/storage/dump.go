package storage

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"watchdog.io/watchdog/pkg/fileutil"
)

// dumped is one series in a file: a line of JSON.
type dumped struct {
	Metric model.Metric `json:"metric"`
	// Chunks are XOR chunks as Prometheus writes them, oldest first.
	Chunks [][]byte `json:"chunks"`
}

// maxDumpLine bounds one series of a file.
const maxDumpLine = 16 << 20

// Dump writes the series that are kept longer than others, so that a restart
// does not forget an error budget.
func (s *Store) Dump(w io.Writer) error {
	out := json.NewEncoder(w)
	for _, d := range s.longKept() {
		if err := out.Encode(d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) longKept() []dumped {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []dumped
	for name := range s.longer {
		f := s.byName[name]
		if f == nil {
			continue
		}
		for _, sr := range f.all {
			d := dumped{Metric: metricOfLabels(sr)}
			for _, c := range sr.between(math.MinInt64, math.MaxInt64) {
				d.Chunks = append(d.Chunks, c.Bytes())
			}
			all = append(all, d)
		}
	}
	return all
}

func metricOfLabels(sr *series) model.Metric { return Sample(sr.lset, 0, time.Time{}).Metric }

// Load takes up what Dump wrote. Samples that are too old, or older than what the
// store has, are left out.
func (s *Store) Load(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxDumpLine)
	for n := 1; lines.Scan(); n++ {
		var d dumped
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		for _, b := range d.Chunks {
			samples, err := unpack(d.Metric, b)
			if err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			s.Append(samples)
		}
	}
	return lines.Err()
}

// unpack reads the samples of a chunk. A chunk that was tampered with may not
// claim more samples than its bytes can hold.
func unpack(m model.Metric, b []byte) (samples []*model.Sample, err error) {
	c, err := chunkenc.FromData(chunkenc.EncXOR, b)
	if err != nil || len(b) < 2 {
		return nil, fmt.Errorf("a chunk of %d bytes cannot be read", len(b))
	}
	it := c.Iterator(nil)
	for it.Next() == chunkenc.ValFloat {
		t, v := it.At()
		if (math.IsNaN(v) || math.IsInf(v, 0)) && !value.IsStaleNaN(v) {
			continue // written before X15: it would spoil every sum that it is in
		}
		samples = append(samples, &model.Sample{Metric: m, Timestamp: model.Time(t), Value: model.SampleValue(v)})
	}
	return samples, it.Err()
}

// Save writes what [Store.Dump] writes into a file.
func (s *Store) Save(path string) error { return fileutil.Replace(path, s.Dump) }

// Resume takes up what the process before saved in a file; without one there is nothing.
func (s *Store) Resume(path string) error {
	f, err := fileutil.OpenPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.Load(f); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}
