package selfwatch

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/incident"
)

const (
	// boundsLook is how often the counters of what is refused are read.
	boundsLook = time.Minute
	// boundsCalm is how long nothing must be refused until that is over.
	boundsCalm = 5 * time.Minute
)

// bounded are the counters of what was beyond a bound: a flood, or an installation that
// has outgrown it.
var bounded = []struct {
	metric, what string
	values       []string // of the metric's last label; none: all
}{
	{"watchdog_store_samples_refused_total", "samples", []string{"too_many_names", "too_many_series"}},
	{"watchdog_http_refused_connections_total", "connections", nil},
	{"watchdog_webhook_requests_total", "webhooks", []string{"too_large", "busy", "slow", "full"}},
}

// Bounds notices that something is refused because it is beyond a bound (SEC-29): the
// metrics count it, and people learn it from watchdog's own incident.
type Bounds struct {
	mu      sync.Mutex
	looked  time.Time
	before  map[string]float64 // by what was refused and why
	refused []string           // of these, what grew since it began
	since   time.Time
	last    time.Time
}

// Look reads the counters when it is time.
func (b *Bounds) Look(g prometheus.Gatherer, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.looked) < boundsLook && !now.Before(b.looked) {
		return
	}
	b.looked = now
	counted := refusals(g)
	for what, n := range counted {
		if n <= b.before[what] {
			continue
		}
		if len(b.refused) == 0 {
			b.since = now
		}
		b.last = now
		if !slices.Contains(b.refused, what) {
			b.refused = append(b.refused, what)
		}
	}
	if now.Sub(b.last) >= boundsCalm {
		b.refused = nil
	}
	b.before = counted
}

// refusals are the bounded counters, by what was refused and why.
func refusals(g prometheus.Gatherer) map[string]float64 {
	families, _ := g.Gather() // what can be gathered is
	all := map[string]float64{}
	for _, x := range bounded {
		for _, f := range families {
			if f.GetName() != x.metric {
				continue
			}
			for _, m := range f.GetMetric() {
				why := make([]string, 0, 2)
				for _, l := range m.GetLabel() {
					why = append(why, strings.ReplaceAll(l.GetValue(), "_", " "))
				}
				if x.values == nil || slices.Contains(x.values, m.GetLabel()[len(why)-1].GetValue()) {
					all[fmt.Sprintf("%s (%s, %s)", x.what, strings.Join(why, ": "),
						x.metric)] += m.GetCounter().GetValue()
				}
			}
		}
	}
	return all
}

// Alarm is the alert on it, part of watchdog's own incident: shown by `watchdog status` and not
// paged, because everything within the limits continues.
func (b *Bounds) Alarm(now time.Time) incident.Alert {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := incident.Alert{Rule: "beyond_bounds", Severity: incident.P3, Verdict: incident.OK,
		Reason: "no limit is exceeded", Source: "watchdog", EvaluatedAt: now}
	if len(b.refused) > 0 {
		slices.Sort(b.refused)
		a.Firing, a.Verdict, a.ActiveAt = true, incident.Breach, b.since
		a.Reason = "limits exceeded, the excess is rejected: " +
			strings.Join(b.refused, ", ") + "; the log names the senders"
	}
	return a
}
