// Package overdue counts the post-incident reviews and action items that are late, and says
// which incidents must stay because their review is not done.
//
// It owns when a review is due and the two metrics about what is late. What a review is, and
// whether one is closed, it leaves to package review; where they are kept, to who reads them.
//
// Its one rule: what could not be read is not done, so nothing is deleted for want of an answer.
package overdue

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/review"
	"watchdog.io/watchdog/pkg/timeinterval"
)

// Due is when the review of what ended then is due: five working days later.
func Due(end time.Time) time.Time {
	week, err := timeinterval.New([]timeinterval.Interval{{Weekdays: []string{"monday:friday"}}})
	if err != nil {
		panic(err) // a constant
	}
	return week.After(end, 5*24*time.Hour)
}

// Reviews knows which incidents still wait for their review.
type Reviews struct {
	read func(ctx context.Context, id string) (json.RawMessage, string, error)

	overdue, items prometheus.Gauge

	mu      sync.Mutex
	settled map[string]bool // by incident: closed, and all its action items done
}

// New returns an account that has read no review yet. read returns what is stored of one.
func New(reg prometheus.Registerer, read func(context.Context, string) (json.RawMessage, string, error)) *Reviews {
	f := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Namespace: "watchdog", Name: name, Help: help})
	}
	return &Reviews{
		read: read, settled: map[string]bool{},
		overdue: gauge("reviews_overdue", "P0 and P1 incidents whose review was not closed within five "+
			"working days; exported by the leader."),
		items: gauge("action_items_overdue",
			"Overdue action items of reviews; exported by the leader."),
	}
}

// Keep says that an incident is not to be deleted yet: its review, or what follows
// from it, is not done, as far as is known.
func (r *Reviews) Keep(i incident.Incident) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return review.Review{Severity: i.Severity}.Required() && !r.settled[i.ID]
}

// Look reads the reviews of what is over. Those that are settled are not read again.
func (r *Reviews) Look(ctx context.Context, all []incident.Incident, now time.Time) error {
	late, items := 0, 0
	there := map[string]bool{}
	for _, i := range all {
		if i.ResolvedAt.IsZero() || !(review.Review{Severity: i.Severity}).Required() {
			continue
		}
		there[i.ID] = true
		r.mu.Lock()
		done := r.settled[i.ID]
		r.mu.Unlock()
		if done {
			continue
		}
		text, _, err := r.read(ctx, i.ID)
		if err != nil {
			return err
		}
		kept, err := review.Decode(i.ID, text)
		if err != nil {
			return err
		}
		line, _ := review.Stand(i.ID, &i, kept, Due, now)
		if line.State == review.Overdue {
			late++
		}
		items += line.Late
		if line.State == review.Closed && len(line.Items) == 0 {
			r.mu.Lock()
			r.settled[i.ID] = true
			r.mu.Unlock()
		}
	}
	r.mu.Lock()
	for id := range r.settled {
		if !there[id] {
			delete(r.settled, id)
		}
	}
	r.mu.Unlock()
	r.overdue.Set(float64(late))
	r.items.Set(float64(items))
	return nil
}

// Reset sets the metrics to zero: another replica counts.
func (r *Reviews) Reset() {
	r.overdue.Set(0)
	r.items.Set(0)
}
