package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"watchdog.io/watchdog/pkg/promql"
)

var t0 = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

// folder writes two blocks with gaps and a series that ends, by Prometheus' own code.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	dice := rand.New(rand.NewPCG(1, 2))
	for day := range 2 {
		w, err := tsdb.NewBlockWriter(slog.New(slog.DiscardHandler), dir, 24*time.Hour.Milliseconds())
		if err != nil {
			t.Fatal(err)
		}
		begin := t0.AddDate(0, 0, day)
		for hour := range 24 {
			a := w.Appender(t.Context())
			from := begin.Add(time.Duration(hour) * time.Hour)
			for at := from; at.Before(from.Add(time.Hour)); at = at.Add(30 * time.Second) {
				for k := range 5 {
					if k == 3 && day == 1 || k == 4 && hour%5 == 2 {
						continue
					}
					l := labels.FromStrings(model.MetricNameLabel, []string{"m", "c"}[k%2],
						"target", fmt.Sprint("t", k))
					if _, err := a.Append(0, l, at.UnixMilli(), float64(dice.IntN(1000))); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := a.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What was deleted from a block is not read. (Prometheus v0.315's own reader panics
// on such a block when it is asked for a time before, so it is no reference here.)
func TestWhatWasDeletedIsGone(t *testing.T) {
	dir := folder(t)
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	db.DisableCompactions()
	if err := db.Delete(t.Context(), t0.Add(3*time.Hour).UnixMilli(), t0.Add(4*time.Hour).UnixMilli(),
		labels.MustNewMatcher(labels.MatchEqual, "target", "t0")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := OpenBlocks(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for at, want := range map[time.Duration]float64{2 * time.Hour: 120, 4 * time.Hour: 0, 4*time.Hour +
		30*time.Minute: 60} {
		got, err := s.Query(t.Context(), `sum(count_over_time(m{target="t0"}[1h])) or vector(0)`, t0.Add(at))
		if err != nil || len(got) != 1 || got[0].Value != want {
			t.Errorf("at %s: %v, %v, want %v samples", at, got, err, want)
		}
	}
}

var questions = []string{
	"m", "c", `m{target="t0"}`, `m{target!="t0"}`, `m{target=~"t[02]"}`, `{target!~"t0|t1"}`, `{__name__=~"m|c"}`,
	`m{nothing=""}`, `m{nothing!=""}`, "nothing",
	"rate(c[5m])", "avg_over_time(m[7m])", "sum by (target) (rate(c[3m]))", "count_over_time(m[6h])", "m offset 25h",
	"max_over_time(m[2h:1m])", "m > 500", "timestamp(m)", "absent(m)", "sum(m) / sum(c)",
}

// Blocks are read as Prometheus reads them: every answer at every moment is the same.
func TestBlocksAreReadAsPrometheusReadsThem(t *testing.T) {
	dir := folder(t)
	s, err := OpenBlocks(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.Begin.Equal(t0) || s.End.Before(t0.AddDate(0, 0, 2).Add(-time.Minute)) || s.End.After(t0.AddDate(0, 0, 2)) {
		t.Errorf("it holds %s to %s", s.Begin, s.End)
	}
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	db.DisableCompactions()
	defer db.Close()
	theirs := From("theirs", db)
	for _, q := range questions {
		for at := t0.Add(-time.Hour); at.Before(t0.AddDate(0, 0, 2).Add(time.Hour)); at = at.Add(37*time.Minute +
			11*time.Second) {
			want, err := theirs.Query(t.Context(), q, at)
			got, e := s.Query(t.Context(), q, at)
			if text(want, err) != text(got, e) {
				t.Fatalf("%s at %s:\n%s\nPrometheus says\n%s", q, at, text(got, e), text(want, err))
			}
		}
	}
}

func text(points []promql.Point, err error) string {
	var all []string
	for _, p := range points {
		all = append(all, fmt.Sprintf("%s %v", p.Labels, p.Value))
	}
	slices.Sort(all)
	return fmt.Sprintf("%v %v", all, err)
}

// What is read ahead is what each moment alone would have said, whatever order the
// questions come in.
func TestReadingAheadChangesNothing(t *testing.T) {
	s, err := OpenBlocks(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var mu sync.Mutex
	read, byExpr := 0, map[string]int{}
	counting := func(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]promql.Line,
		error) {
		mu.Lock()
		read++
		byExpr[expr]++
		mu.Unlock()
		return s.Range(ctx, expr, start, end, step)
	}
	a := NewAhead(s.Query, counting, t0.Add(40*time.Hour))
	defer a.Wait()
	moments := 0
	for k, q := range append(questions, "m @ end()", "c > 100", "c > 900", "100 < c") {
		for n := range 300 {
			at := t0.Add(time.Hour + time.Duration(n)*15*time.Second + time.Duration(k)*time.Millisecond)
			// now and then another moment
			for _, at := range []time.Time{at, at.Add(time.Duration(n%7/6) * 4 * time.Second)} {
				got, err := a.Query(t.Context(), q, at)
				want, e := s.Query(t.Context(), q, at)
				moments++
				if text(got, err) != text(want, e) {
					t.Fatalf("%s at %s:\n%s\nalone\n%s", q, at, text(got, err), text(want, e))
				}
			}
		}
	}
	a.Wait()
	t.Logf("%d moments, %d ranges: %v", moments, read, byExpr)
	if read == 0 || read > moments/40 {
		t.Errorf("%d ranges were read for %d moments", read, moments)
	}
}

// An answer that is too large is asked for in smaller pieces; a source that fails is
// asked moment by moment, and each has its own error.
func TestReadingAheadThatFails(t *testing.T) {
	var mu sync.Mutex
	longest := time.Duration(0)
	ask := func(_ context.Context, _ string, at time.Time) ([]promql.Point, error) {
		return []promql.Point{{Value: float64(at.Unix())}}, nil
	}
	over := func(_ context.Context, _ string, start, end time.Time, step time.Duration) ([]promql.Line, error) {
		if end.Sub(start) > 20*step {
			return nil, fmt.Errorf("too much: %w", promql.ErrTooLarge)
		}
		mu.Lock()
		longest = max(longest, end.Sub(start))
		mu.Unlock()
		var l promql.Line
		for at := start; !at.After(end); at = at.Add(step) {
			l.Points = append(l.Points, promql.Dot{At: at.UnixMilli(), Value: float64(at.Unix())})
		}
		return []promql.Line{l}, nil
	}
	a := NewAhead(ask, over, t0.Add(time.Hour))
	for n := range 200 {
		at := t0.Add(time.Duration(n) * 15 * time.Second)
		if got, err := a.Query(t.Context(), "m", at); err != nil || len(got) != 1 ||
			got[0].Value != float64(at.Unix()) {
			t.Fatalf("%v %v", got, err)
		}
	}
	a.Wait()
	if longest < 7*15*time.Second {
		t.Errorf("the longest range was %s", longest)
	}

	broken := errors.New("503")
	a = NewAhead(func(_ context.Context, _ string, at time.Time) ([]promql.Point, error) {
		if at.Minute()%2 == 1 {
			return nil, broken
		}
		return []promql.Point{{Value: 1}}, nil
	}, func(context.Context, string, time.Time, time.Time, time.Duration) ([]promql.Line, error) {
		return nil, broken
	}, t0.Add(time.Hour))
	for n := range 100 {
		at := t0.Add(time.Duration(n) * 15 * time.Second)
		if _, err := a.Query(t.Context(), "m", at); errors.Is(err, broken) != (at.Minute()%2 == 1) {
			t.Fatalf("%s: %v", at, err)
		}
	}
}

const openMetrics = `# TYPE m gauge
m{target="a"} 1 1788220800
m{target="a"} 2 1788220830.5
m{target="b"} 7 1788220800
# EOF
`

func TestRecording(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.om")
	if err := os.WriteFile(path, []byte(openMetrics), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Query(t.Context(), "m", time.Unix(1788220831, 0))
	slices.SortFunc(got, func(a, b promql.Point) int { return cmp.Compare(a.Value, b.Value) })
	if err != nil || len(got) != 2 || got[0].Value != 2 || got[1].Value != 7 {
		t.Errorf("%v, %v", got, err)
	}
	if s.Begin.Unix() != 1788220800 || s.End.UnixMilli() != 1788220830500 {
		t.Errorf("it holds %s to %s", s.Begin, s.End)
	}
}

func TestWhatIsNoHistory(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("version/01A/meta.json", `{"version": 9}`)
	write("torn/01A/meta.json", `{"version`)
	write("noindex/01A/meta.json", `{"version": 1}`)
	for path, want := range map[string]string{
		filepath.Join(dir, "gone"):               "no such file",
		write("empty.om", "# EOF\n"):             "no samples",
		write("untimed.om", "m 1\n# EOF\n"):      "has no time",
		write("text.om", "hello\n"):              "text.om",
		filepath.Dir(write("blocks/readme", "")): "snapshot",
		filepath.Join(dir, "version"):            "version 9",
		filepath.Join(dir, "torn"):               "meta.json",
		filepath.Join(dir, "noindex"):            "index",
	} {
		if s, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", path, s, err, want)
		}
	}
}
