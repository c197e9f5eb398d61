package fleet

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Bench are the options of a run at rest.
type Bench struct {
	Setup
	Warm, Window time.Duration // before what is measured, and while it is
	Profiles     string        // folder; empty: none
}

// At rest the daemon probes and judges, and nothing happens.
const (
	looksTotal   = "watchdog_probe_looks_total"
	skippedTotal = "watchdog_probe_skipped_total"
	heapInUse    = "go_memstats_heap_inuse_bytes"
	goroutines   = "go_goroutines"
)

var atRest = map[string][]string{looksTotal: {`kind="health"`, `kind="http"`}, skippedTotal: nil, heapInUse: nil,
	goroutines: nil}

// moment is what is known at one time.
type moment struct {
	at       time.Time
	usage    usage
	figures  map[string]float64
	requests map[string]int
}

// moment reads the metrics first, which may take seconds. Without an answer they are not known.
func (x *scene) moment() (m moment, err error) {
	if m.figures, err = x.figures(atRest); err != nil {
		fmt.Fprintln(os.Stderr, err)
		m.figures = map[string]float64{}
		for name := range atRest {
			m.figures[name] = math.NaN()
		}
	}
	st, err := x.state()
	if err != nil {
		return m, fmt.Errorf("ask the API server's stand-in: %w", err)
	}
	m.requests, m.at = st.Requests, time.Now()
	m.usage, err = x.daemon.usage()
	return m, err
}

// Run measures one size of a fleet.
func (b Bench) Run(ctx context.Context, w io.Writer) (c Column, err error) {
	c.name = fmt.Sprint(b.Targets)
	x, err := open(ctx, b.Setup)
	if err != nil {
		return c, err
	}
	defer x.close()
	ready, err := x.run(ctx)
	if err != nil {
		return c, err
	}
	known := x.whenKnown(ctx)
	if err := pause(ctx, b.Warm); err != nil {
		return c, err
	}
	if _, err := x.arrivals(); err != nil {
		return c, err
	}
	before, err := x.moment()
	if err != nil {
		return c, err
	}
	if err := pause(ctx, b.Window); err != nil {
		return c, err
	}
	after, err := x.moment()
	if err != nil {
		return c, err
	}
	regular, err := x.arrivals()
	if err != nil {
		return c, err
	}
	took := after.at.Sub(before.at)
	cpu := after.usage.cpu - before.usage.cpu
	requests := 0
	for what, n := range after.requests {
		requests += n - before.requests[what]
	}
	delta := func(name string) float64 { return after.figures[name] - before.figures[name] }
	c.measures = []measure{
		{"ready, s", ready.Seconds(), 2},
		{"all revisions recorded, s after the start", known(), 0},
		{"RSS, MiB", after.usage.rss, 0},
		{"most RSS so far, MiB", after.usage.peak, 0},
		{"heap in use, MiB", after.figures[heapInUse] / (1 << 20), 0},
		{"goroutines", after.figures[goroutines], 0},
		{"CPU s a minute", cpu * time.Minute.Seconds() / took.Seconds(), 1},
		{"API requests a second", float64(requests) / took.Seconds(), 1},
		{"looks done", delta(looksTotal), 0},
		{"looks due", 2 * float64(b.Targets) * took.Seconds() / 15, 0},
		{"looks skipped", delta(skippedTotal), 0},
		{"looks skipped since the start", after.figures[skippedTotal], 0},
		{"longest time between looks of one probe at a target that answers, s", regular.Worst.Seconds(), 1},
	}
	fmt.Fprintf(w, "%d targets: API requests in %s at rest: %s\n", b.Targets, took.Round(time.Second),
		topRequests(before.requests, after.requests))
	if b.Profiles != "" {
		if err := x.profile(filepath.Join(b.Profiles, c.name)); err != nil {
			return c, err
		}
	}
	reloads, err := x.reloads(ctx, cpu/took.Seconds())
	if err != nil {
		return c, err
	}
	c.measures = append(c.measures, reloads...)
	_ = x.close()
	check, err := run(ctx, b.Watchdog, "check", x.configFile())
	c.measures = append(c.measures, measure{"check, s", check.wall.Seconds(), 2}, measure{"check, CPU s", check.cpu, 2},
		measure{"check, most RSS, MiB", check.peak, 0})
	return c, err
}

// whenKnown watches for the time at which a revision of each target is recorded; what it returns
// is asked for the seconds from the start until then, NaN if that has not come.
func (x *scene) whenKnown(ctx context.Context) func() float64 {
	ctx, cancel := context.WithCancel(ctx)
	found := make(chan float64, 1)
	go func() {
		err := x.daemon.wait(ctx, "all revisions are recorded", time.Second, func() (bool, error) {
			st, err := x.state()
			return st.Revisions >= x.Targets, err
		})
		if err != nil {
			found <- math.NaN()
			return
		}
		found <- time.Since(x.started).Seconds()
	}()
	return func() float64 {
		cancel()
		return <-found
	}
}

func topRequests(before, after map[string]int) string {
	grown := map[string]int{}
	for what, n := range after {
		if n > before[what] {
			grown[what] = n - before[what]
		}
	}
	names := slices.SortedFunc(maps.Keys(grown), func(a, b string) int { return cmp.Compare(grown[b], grown[a]) })
	var parts []string
	for _, name := range names[:min(len(names), 8)] {
		parts = append(parts, fmt.Sprintf("%s %d", name, grown[name]))
	}
	return strings.Join(parts, ", ")
}

// settled is how long after a reload its cost is summed up.
const settled = 6 * time.Second

// reloads measures what writing the configuration costs: the same bytes, and then others. rest is
// the CPU use without.
func (x *scene) reloads(ctx context.Context, rest float64) ([]measure, error) {
	text, err := os.ReadFile(x.configFile())
	if err != nil {
		return nil, err
	}
	same, err := x.costOf(ctx, rest, func() error { return publish(x.configFile(), text) })
	if err != nil {
		return nil, err
	}
	var took time.Duration
	other, err := x.costOf(ctx, rest, func() error {
		began := time.Now()
		changed := strings.Replace(string(text), "/\", interval: 15s", "/\", max_duration: 3s, interval: 15s", 1)
		if err := publish(x.configFile(), []byte(changed)); err != nil {
			return err
		}
		err := x.daemon.wait(ctx, "the configuration is loaded", 10*time.Millisecond, func() (bool, error) {
			return x.daemon.log.when(configurationLoaded).After(began), nil
		})
		took = time.Since(began)
		return err
	})
	return []measure{{"reload of the same bytes, CPU s", same, 2}, {"reload of one change, CPU s", other, 2},
		{"reload of one change, s from the write", took.Seconds(), 2}}, err
}

// costOf is the CPU use beyond rest while something is done and settles.
func (x *scene) costOf(ctx context.Context, rest float64, do func() error) (float64, error) {
	before, err := x.daemon.usage()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return 0, err
	}
	if err := pause(ctx, settled-time.Since(began)); err != nil {
		return 0, err
	}
	after, err := x.daemon.usage()
	return max(0, after.cpu-before.cpu-rest*time.Since(began).Seconds()), err
}

// Takeover are the options of a run with stored incidents.
type Takeover struct {
	Setup
	Stay time.Duration // how long the daemon runs after it has read them
}

// Run measures how a leader takes over what is stored, and how people list it.
func (t Takeover) Run(ctx context.Context) (c Column, err error) {
	phase := "resolved"
	if t.Open {
		phase = "open"
	}
	c.name = fmt.Sprintf("%d %s, %d targets", t.Incidents, phase, t.Targets)
	x, err := open(ctx, t.Setup)
	if err != nil {
		return c, err
	}
	defer x.close()
	ready, err := x.run(ctx)
	if err != nil {
		return c, err
	}
	if err := x.daemon.wait(ctx, "the state is loaded", 10*time.Millisecond, func() (bool, error) {
		return !x.daemon.log.when(stateLoaded).IsZero(), nil
	}); err != nil {
		return c, err
	}
	loaded := x.daemon.log.when(stateLoaded).Sub(x.started)
	if err := pause(ctx, t.Stay); err != nil {
		return c, err
	}
	u, err := x.daemon.usage()
	if err != nil {
		return c, err
	}
	list, err := run(ctx, t.Watchdog, "incidents", "--kubeconfig", x.kubeconfig, "-n", Namespace)
	c.measures = []measure{
		{"ready, s", ready.Seconds(), 2},
		{"state read, s after the start", loaded.Seconds(), 1},
		{"most RSS, MiB", u.peak, 0},
		{fmt.Sprintf("RSS %s later, MiB", t.Stay), u.rss, 0},
		{"CPU s", u.cpu, 1},
		{"watchdog incidents: first line, s", list.first.Seconds(), 2},
		{"watchdog incidents: all, s", list.wall.Seconds(), 2},
		{"watchdog incidents: lines", float64(list.lines), 0},
		{"watchdog incidents: CPU s", list.cpu, 2},
		{"watchdog incidents: most RSS, MiB", list.peak, 0},
	}
	return c, err
}
