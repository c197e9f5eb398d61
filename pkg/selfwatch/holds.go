package selfwatch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/incident"
)

// holdReminder is how old a hold is when people are reminded of it.
const holdReminder = 24 * time.Hour

// Holds follows what is on hold, so that nothing is forgotten there.
type Holds struct {
	now    func() time.Time
	oldest *prometheus.GaugeVec

	mu    sync.Mutex
	since map[string]time.Time // first seen, of holds that do not say since when they are
	began time.Time            // of the alert
	all   []Hold               // as listed at lists
	lists time.Time
}

// listEvery is how often all targets are looked through for holds.
const listEvery = 30 * time.Second

// Hold is one hold.
type Hold struct {
	What, Reason string
	Since        time.Time // zero: it is not known
	Lift         string    // what `watchdog resume` is given
}

// NewHolds returns an account of holds that knows of none yet.
func NewHolds(r prometheus.Registerer, now func() time.Time) *Holds {
	return &Holds{now: now, since: map[string]time.Time{},
		oldest: promauto.With(r).NewGaugeVec(prometheus.GaugeOpts{Namespace: "watchdog", Name: "hold_age_seconds",
			Help: "Age of the oldest hold that the leader knows: of a target, or of everything (the kill switch). " +
				"0: none."}, []string{"scope"})}
}

// Alarm is the reminder, as part of watchdog's own incident, and brings the metric up to date.
func (h *Holds) Alarm(targets func() []Hold, everything *incident.Attribution) incident.Alert {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if now.Sub(h.lists).Abs() >= listEvery {
		h.all, h.lists = targets(), now
	}
	ages := map[string]time.Duration{"target": 0, "everything": 0}
	var old []Hold
	seen := map[string]time.Time{}
	look := func(scope string, x Hold) {
		if x.Since.IsZero() {
			if x.Since = h.since[x.What]; x.Since.IsZero() {
				x.Since = now
			}
			seen[x.What] = x.Since
		}
		age := now.Sub(x.Since)
		ages[scope] = max(ages[scope], age)
		if age >= holdReminder {
			old = append(old, x)
		}
	}
	for _, x := range h.all {
		look("target", x)
	}
	if everything != nil {
		look("everything", Hold{What: "everything", Reason: everything.Reason, Since: everything.At, Lift: "--all"})
	}
	h.since = seen
	for scope, age := range ages {
		h.oldest.WithLabelValues(scope).Set(age.Seconds())
	}
	a := incident.Alert{Rule: "forgotten_hold", Severity: incident.P3, Verdict: incident.OK, Reason: "no longer firing",
		Source: "watchdog", EvaluatedAt: now}
	if len(old) == 0 {
		h.began = time.Time{}
		return a
	}
	if h.began.IsZero() {
		h.began = now
	}
	slices.SortFunc(old, func(a, b Hold) int {
		return cmp.Or(a.Since.Compare(b.Since),
			strings.Compare(a.What, b.What))
	})
	var lines []string
	for _, x := range old {
		// The time, and not the age: what says something else at each look is news each time.
		lines = append(lines, fmt.Sprintf("%s since %s (%s): `watchdog resume %s`", x.What,
			x.Since.UTC().Format("2006-01-02 15:04 UTC"), cmp.Or(x.Reason, "no reason given"), x.Lift))
	}
	a.Firing, a.Verdict, a.ActiveAt = true, incident.Breach, h.began
	a.Reason = fmt.Sprintf("on hold for more than %s: %s", holdReminder, strings.Join(lines, "; "))
	return a
}
