package storage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

// foreign are the builtin files that load what the store does not hold. The parts of
// those marked "among others" that load floats alone run by themselves.
var foreign = map[string]string{
	"testdata/native_histograms.test": "native histograms",
	"testdata/histograms.test":        "native histograms, among others",
	"testdata/start_timestamps.test":  "start timestamps",
	"testdata/aggregators.test":       "native histograms, among others",
	"testdata/extended_vectors.test":  "native histograms, among others",
	"testdata/functions.test":         "native histograms, among others",
	"testdata/info.test":              "native histograms, among others",
	"testdata/limit.test":             "native histograms, among others",
	"testdata/operators.test":         "native histograms, among others",
	"testdata/range_queries.test":     "native histograms, among others",
	"testdata/subquery.test":          "native histograms, among others",
}

// TestTheStoreAnswersAsPrometheusDoes runs Prometheus' own acceptance tests of
// PromQL over the store.
func TestTheStoreAnswersAsPrometheusDoes(t *testing.T) {
	engine := promqltest.NewTestEngine(t, false, 0, 50_000_000)
	promqltest.RunBuiltinTestsWithStorage(&selective{t}, engine, wholeStore)
}

// TestTheStoreAnswersAsPrometheusDoesInPart runs the parts of the other files, from one
// `clear` to the next, that have no histogram in them.
func TestTheStoreAnswersAsPrometheusDoesInPart(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/prometheus").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "promql", "promqltest")
	engine := promqltest.NewTestEngine(t, false, 0, 50_000_000)
	ran, evals := 0, 0
	for name, why := range foreign {
		if !strings.HasSuffix(why, "among others") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for k, part := range strings.Split(string(text), "\nclear") {
			if strings.Contains(part, "{{") {
				continue
			}
			t.Run(fmt.Sprint(filepath.Base(name), "/", k), func(t *testing.T) {
				ran++
				evals += strings.Count(part, "\neval ")
				promqltest.RunTestWithStorage(t, part, engine, wholeStore)
			})
		}
	}
	t.Logf("%d parts with %d evaluations", ran, evals)
	if evals < 400 {
		t.Errorf("only %d evaluations were run", evals)
	}
}

func wholeStore(testing.TB) storage.Storage {
	return &whole{Store: New(Options{Retention: 200 * 365 * 24 * time.Hour, MaxSamples: 1 << 20})}
}

// selective runs the files that the store is to pass.
type selective struct{ *testing.T }

func (s *selective) Run(name string, f func(*testing.T)) bool {
	if foreign[name] != "" {
		return true
	}
	return s.T.Run(name, f)
}

// whole gives the store the rest of Prometheus' storage interface, as far as
// the tests use it.
type whole struct {
	storage.Storage
	*Store
}

func (w *whole) Querier(mint, maxt int64) (storage.Querier, error) {
	return w.Store.Querier(mint, maxt)
}
func (*whole) Close() error                                    { return nil }
func (*whole) StartTime() (int64, error)                       { return math.MinInt64, nil }
func (w *whole) AppenderV2(context.Context) storage.AppenderV2 { return &appender{store: w.Store} }

type appender struct {
	store *Store
	batch []*model.Sample
}

func (a *appender) Append(_ storage.SeriesRef, ls labels.Labels, _, at int64, v float64, h *histogram.Histogram,
	fh *histogram.FloatHistogram, _ storage.AppendV2Options) (storage.SeriesRef, error) {
	if h != nil || fh != nil {
		return 0, errors.New("the store holds no histograms")
	}
	m := model.Metric{}
	ls.Range(func(l labels.Label) { m[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	a.batch = append(a.batch, &model.Sample{Metric: m, Value: model.SampleValue(v), Timestamp: model.Time(at)})
	return 1, nil
}

func (a *appender) Commit() error {
	a.store.Append(a.batch)
	return nil
}

func (a *appender) Rollback() error {
	a.batch = slices.Delete(a.batch, 0, len(a.batch))
	return nil
}
