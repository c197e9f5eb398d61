package fleet

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// Soak are the options of a long run at rest.
type Soak struct {
	Setup
	For time.Duration
}

// sample is one reading of a soak.
type sample struct {
	at        time.Duration
	rss, heap float64
}

// mayGrow is by how much more memory the end of a soak may have than its second quarter.
const mayGrow = 1.05

// Run watches the memory of a daemon at rest, writes a report, and returns an error if it grows.
func (s Soak) Run(ctx context.Context, w io.Writer) error {
	x, err := open(ctx, s.Setup)
	if err != nil {
		return err
	}
	defer x.close()
	if _, err := x.run(ctx); err != nil {
		return err
	}
	var all []sample
	for time.Since(x.started) < s.For {
		if err := pause(ctx, s.For/120); err != nil {
			return err
		}
		m, err := x.moment()
		if err != nil {
			return err
		}
		all = append(all, sample{time.Since(x.started), m.usage.rss, m.figures[heapInUse] / (1 << 20)})
	}
	last, err := x.moment()
	if err != nil {
		return err
	}
	early, late := between(all, s.For/4, s.For/3), between(all, s.For*11/12, s.For)
	fmt.Fprintf(w, "%d targets for %s: median RSS %.0f MiB from %s to %s, %.0f MiB from %s to the end (× %.3f); heap in "+
		"use %.0f and %.0f MiB; slope of the second half %+.1f MiB an hour; %.0f looks done, %.0f skipped; %.1f CPU s a "+
		"minute\n", s.Targets, s.For, median(early, sample.getRSS), (s.For / 4).Round(time.Second),
		(s.For / 3).Round(time.Second), median(late, sample.getRSS), (s.For * 11 / 12).Round(time.Second),
		median(late, sample.getRSS)/median(early, sample.getRSS), median(early, sample.getHeap),
		median(late, sample.getHeap), slope(between(all, s.For/2, s.For)), last.figures[looksTotal],
		last.figures[skippedTotal], last.usage.cpu/time.Since(x.started).Minutes())
	if was, is := median(early, sample.getRSS), median(late, sample.getRSS); is > was*mayGrow {
		return fmt.Errorf("the memory of watchdog grows: %.0f MiB, then %.0f MiB; take a heap profile of a long run and "+
			"compare it with an early one", was, is)
	}
	return nil
}

func (s sample) getRSS() float64  { return s.rss }
func (s sample) getHeap() float64 { return s.heap }

func between(all []sample, from, to time.Duration) []sample {
	var part []sample
	for _, s := range all {
		if s.at >= from && s.at <= to+time.Second {
			part = append(part, s)
		}
	}
	return part
}

func median(all []sample, of func(sample) float64) float64 {
	if len(all) == 0 {
		return 0
	}
	var values []float64
	for _, s := range all {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// slope is the growth of the RSS by least squares, in MiB an hour.
func slope(all []sample) float64 {
	var n, x, y, xx, xy float64
	for _, s := range all {
		h := s.at.Hours()
		n, x, y, xx, xy = n+1, x+h, y+s.rss, xx+h*h, xy+h*s.rss
	}
	if d := n*xx - x*x; d != 0 {
		return (n*xy - x*y) / d
	}
	return 0
}
