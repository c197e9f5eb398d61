package sim

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/value"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// Sources are a Prometheus that watchdog asks, and the exporters that it scrapes.
// Nil: the world has none.
type Sources struct {
	Every time.Duration // scrape interval of every exporter
	Miss  float64       // share of the scrapes that fail; never two in a row
	// Markers: a failed scrape ends the exporter's series, as in Prometheus. Without, there
	// is just no sample, as where samples are written from outside.
	Markers bool
}

// sources are the Sources of a world while it runs. What they hold is the truth for
// the invariants about them.
type sources struct {
	w    *World
	spec Sources
	dice *rand.Rand // of its own: the rest of the world draws as it did
	// whole is the server's storage, part that of one of its storage nodes.
	whole, part *storage.Store
	ask, some   promql.QueryFunc
	missed      bool
	pod         int       // of the exporter that watches objects: its instance
	restarted   time.Time // that exporter, last
	written     map[string]*model.Sample
	trouble     map[string]time.Time // until when, by metric and target
	spells      []spell              // of trouble, by metric and target
	away        []spell              // times in which the server does not answer
	partial     time.Time
	nan         map[string]time.Time // by target
	unseen      []*unseen
}

// spell is a time in which something held.
type spell struct {
	what, target string
	from, until  time.Time
}

// unseen is a probe that nobody can answer: the endpoint is gone, wants a password, or its
// clock is off.
type unseen struct {
	spell
	reported bool
	pages    int
}

// sourceWords are the happenings of sources.
var sourceWords = map[string]func(w *World, h Happening, a *app){
	"disk full":          func(w *World, h Happening, a *app) { w.sources.break1("disk", a, h.For) },
	"workers gone":       func(w *World, h Happening, a *app) { w.sources.break1("workers", a, h.For) },
	"job stuck":          func(w *World, h Happening, a *app) { w.sources.break1("stuck", a, h.For) },
	"waiting container":  func(w *World, h Happening, a *app) { w.sources.break1("waiting", a, h.For) },
	"no number":          func(w *World, h Happening, a *app) { w.sources.nan[a.name] = w.clock.now.Add(h.For) },
	"prometheus away":    func(w *World, h Happening, _ *app) { w.sources.leave(h.For) },
	"partial answers":    func(w *World, h Happening, _ *app) { w.sources.partial = w.clock.now.Add(h.For) },
	"exporter restarts":  func(w *World, _ Happening, _ *app) { w.sources.restart() },
	"probe unanswerable": func(w *World, h Happening, a *app) { w.sources.hide(a, h.For) },
}

func newSources(w *World) *sources {
	spec := w.scenario.Sources
	if spec == nil {
		return nil
	}
	now := func() time.Time { return w.clock.now }
	s := &sources{w: w, spec: *spec, dice: rand.New(rand.NewPCG(w.scenario.Seed, 6)), trouble: map[string]time.Time{},
		nan: map[string]time.Time{}, written: map[string]*model.Sample{}}
	s.whole, s.part = storage.New(storage.Options{Now: now,
		Retention: 15 * time.Minute}), storage.New(storage.Options{Now: now, Retention: 15 * time.Minute})
	s.ask, s.some = promql.NewLocal(s.whole, promql.LocalOptions{}), promql.NewLocal(s.part, promql.LocalOptions{})
	var turn func()
	turn = func() { s.scrape(); w.clock.after(s.spec.Every, -1, turn) }
	w.clock.after(0, -1, turn)
	return s
}

// break1 begins trouble that a metric shows.
func (s *sources) break1(what string, a *app, d time.Duration) {
	if s == nil {
		return
	}
	now := s.w.clock.now
	s.trouble[what+a.name] = now.Add(d)
	s.spells = append(s.spells, spell{what, a.name, now, now.Add(d)})
}

func (s *sources) leave(d time.Duration) {
	if s != nil && !s.isAway() {
		s.away = append(s.away, spell{from: s.w.clock.now, until: s.w.clock.now.Add(d)})
	}
}

func (s *sources) hide(a *app, d time.Duration) {
	if s != nil && s.hidden(a.name) == nil {
		s.unseen = append(s.unseen, &unseen{spell: spell{"probe", a.name, s.w.clock.now, s.w.clock.now.Add(d)}})
	}
}

// hidden is the probe of the target that nobody can answer now.
func (s *sources) hidden(target string) *unseen {
	for _, u := range s.unseen {
		if u.target == target && s.w.clock.now.Before(u.until) {
			return u
		}
	}
	return nil
}

// restart gives the exporter of objects a new pod: the old one's series end.
func (s *sources) restart() {
	if s != nil && !s.restarted.Equal(s.w.clock.now) {
		s.restarted = s.w.clock.now
		s.end(func(m model.Metric) bool { return m["job"] == "objects" })
		s.pod++
	}
}

func (s *sources) isAway() bool {
	n := len(s.away)
	return n > 0 && s.w.clock.now.Before(s.away[n-1].until)
}

// scrape is one scrape of every exporter.
func (s *sources) scrape() {
	if s.isAway() {
		return
	}
	if miss := s.dice.Float64() < s.spec.Miss; miss && !s.missed {
		s.missed = true
		if s.spec.Markers {
			s.end(func(m model.Metric) bool { return m[model.MetricNameLabel] != "up" })
			for _, sm := range s.samples() {
				if sm.Metric[model.MetricNameLabel] == "up" {
					sm.Value = 0
					s.put(sm)
				}
			}
		}
		return
	}
	s.missed = false
	all := s.samples()
	have := map[string]bool{}
	for _, sm := range all {
		have[sm.Metric.String()] = true
	}
	// What an exporter writes no more ends at its next scrape.
	s.end(func(m model.Metric) bool { return !have[m.String()] })
	for _, sm := range all {
		s.put(sm)
	}
}

// end writes the marker that ends series.
func (s *sources) end(which func(model.Metric) bool) {
	for _, k := range sorted(s.written) {
		m := s.written[k].Metric
		if which(m) {
			s.put(&model.Sample{Metric: m, Value: model.SampleValue(math.Float64frombits(value.StaleNaN)),
				Timestamp: model.TimeFromUnixNano(s.w.clock.now.UnixNano())})
			delete(s.written, k)
		}
	}
}

func (s *sources) put(sm *model.Sample) {
	if !value.IsStaleNaN(float64(sm.Value)) {
		s.written[sm.Metric.String()] = sm
	}
	// A store takes one sample of a series at a time.
	s.whole.Append([]*model.Sample{sm})
	if n := sm.Metric["worker"]; n == "" || n == "0" {
		s.part.Append([]*model.Sample{sm})
	}
}

// samples are what the exporters say now.
func (s *sources) samples() []*model.Sample {
	at := s.w.clock.now
	pod := "10.0.0." + strconv.Itoa(s.pod)
	all := []*model.Sample{sample(at, "up", 1, "job", "objects", "instance", pod),
		sample(at, "up", 1, "job", "levels", "instance", "n1")}
	for _, a := range s.w.apps {
		disk, workers := 0.5, 3
		if s.is("disk", a) {
			disk = 0.95
		}
		if s.is("workers", a) {
			workers = 1
		}
		if at.Before(s.nan[a.name]) {
			disk = nan
		}
		all = append(all, sample(at, "disk_used_ratio", disk, "job", "levels", "instance", "n1", "target", a.name))
		for k := range 3 {
			all = append(all, sample(at, "worker_up", truth(k < workers),
				"job", "levels", "instance", "n1", "target", a.name, "worker", strconv.Itoa(k)))
		}
		// Of objects there is a series only while something is bad.
		if s.is("stuck", a) {
			all = append(all, sample(at, "job_stuck", 1, "job", "objects", "instance", pod, "target", a.name))
		}
		if s.is("waiting", a) {
			all = append(all, sample(at, "container_waiting", 1, "job", "objects", "instance", pod, "target", a.name,
				"reason", "CrashLoopBackOff"))
		}
	}
	return all
}

func (s *sources) is(what string, a *app) bool { return s.w.clock.now.Before(s.trouble[what+a.name]) }

// was reports whether the metric showed trouble of the target at any time between.
func (s *sources) was(what, target string, from, until time.Time) bool {
	return slices.ContainsFunc(s.spells, func(x spell) bool {
		return x.what == what && x.target == target && x.from.Before(until) && from.Before(x.until)
	})
}

// throughout reports whether a target had a trouble during all of a time.
func (s *sources) throughout(what, target string, from, until time.Time) bool {
	return slices.ContainsFunc(s.spells, func(x spell) bool {
		return x.what == what && x.target == target && !x.from.After(from) && !x.until.Before(until)
	})
}

// awayFor is how long the server did not answer in a time.
func (s *sources) awayFor(from, until time.Time) time.Duration {
	var d time.Duration
	for _, x := range s.away {
		d += max(0, earlier(x.until, until).Sub(later(x.from, from)))
	}
	return d
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// RoundTrip is the server's HTTP API, so that its answers are read as real ones are.
func (s *sources) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.isAway() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	sec, err := strconv.ParseFloat(form.Get("time"), 64)
	if err != nil {
		return nil, err
	}
	ask, partial := s.ask, s.w.clock.now.Before(s.partial)
	if partial {
		ask = s.some
	}
	points, err := ask(context.Background(), form.Get("query"), time.UnixMilli(int64(math.Round(sec*1000))).UTC())
	if err != nil {
		return nil, err
	}
	type result struct {
		Metric map[string]string `json:"metric"`
		Value  [2]any            `json:"value"`
	}
	all := make([]result, 0, len(points))
	for _, p := range points {
		all = append(all, result{p.Labels.Map(), [2]any{sec, strconv.FormatFloat(p.Value, 'g', -1, 64)}})
	}
	answer := map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": all}}
	if partial {
		answer["isPartial"] = true
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(text))), Request: r}, nil
}

// sourced adds sources to one world in forty, from a source of chance of its own: the other draws
// stay what they were. Such a world asks a real engine of PromQL at each round: it is a short one.
func (s *Scenario) sourced() {
	d := &draw{rand.New(rand.NewPCG(s.Seed, 5))}
	if !d.chance(1.0 / 40) {
		return
	}
	s.Length = min(s.Length, time.Hour)
	s.Sources = &Sources{Every: pick(d, 15*time.Second, 30*time.Second, time.Minute, 2*time.Minute, 5*time.Minute),
		Markers: d.chance(0.5)}
	if d.chance(0.5) {
		s.Sources.Miss = 0.05 * d.Float64()
	}
	add := func(p float64, each time.Duration, least, most time.Duration, what string, target bool) {
		if !d.chance(p) {
			return
		}
		for at := d.between(5*time.Minute, each); at < s.Length; at += most + d.between(each/2, 2*each) {
			h := Happening{At: at, What: what, For: d.between(least, most)}
			if target {
				h.Target = s.Targets[d.IntN(len(s.Targets))].Name
			}
			s.Happens = append(s.Happens, h)
		}
	}
	const m = time.Minute
	for _, what := range []string{"disk full", "workers gone", "job stuck", "waiting container"} {
		add(0.4, 40*m, 8*m, 20*m, what, true)
	}
	add(0.3, 30*m, m, 4*m, "no number", true)
	add(0.4, 20*m, 20*time.Second, 50*time.Second, "prometheus away", false)
	add(0.7, 30*m, 3*m, 5*m, "partial answers", false)
	add(0.4, 30*m, 0, 0, "exporter restarts", false)
	add(0.4, 60*m, 30*m, 70*m, "probe unanswerable", true)
	slices.SortStableFunc(s.Happens, func(a, b Happening) int { return int(a.At - b.At) })
}

// withoutSources drops the sources, and first what can go wrong with them.
func (s *Scenario) withoutSources(k int) bool {
	if s.Sources == nil || k > 1 {
		return false
	}
	c := *s.Sources
	switch {
	case k == 0 && c.Miss > 0:
		c.Miss = 0
		s.Sources = &c
	case k == 0 && c.Every > 15*time.Second:
		c.Every = 15 * time.Second
		s.Sources = &c
	case k == 1:
		s.Sources = nil
		s.Happens = slices.DeleteFunc(slices.Clone(s.Happens),
			func(h Happening) bool { return sourceWords[h.What] != nil })
	default:
		return false
	}
	return true
}
