package app

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/calendar"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/review"
)

// reviewLook is how often the leader looks which reviews are overdue.
const reviewLook = 10 * time.Minute

// firstReviewLook is how soon it looks after it began to lead.
const firstReviewLook = time.Minute

// ReviewDue is when the review of what ended then is due: five working days later.
func ReviewDue(end time.Time) time.Time {
	week, err := calendar.New([]calendar.Interval{{Weekdays: []string{"monday:friday"}}})
	if err != nil {
		panic(err) // a constant
	}
	return week.After(end, 5*24*time.Hour)
}

// reviews knows which incidents still wait for their review.
type reviews struct {
	read func(ctx context.Context, id string) (json.RawMessage, string, error)

	overdue, items prometheus.Gauge

	mu      sync.Mutex
	settled map[string]bool // by incident: closed, and all its action items done
}

func newReviews(reg prometheus.Registerer, read func(context.Context, string) (json.RawMessage, string, error)) *reviews {
	f := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Namespace: "watchdog", Name: name, Help: help})
	}
	return &reviews{
		read: read, settled: map[string]bool{},
		overdue: gauge("reviews_overdue", "Incidents of severity P0 and P1 whose review was not closed within five working days; the leader's word."),
		items:   gauge("action_items_overdue", "Action items of reviews that are not done and whose day is over; the leader's word."),
	}
}

// keep says that an incident is not to be deleted yet: its review, or what follows
// from it, is not done, as far as is known.
func (r *reviews) keep(i incident.Incident) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return review.Review{Severity: i.Severity}.Required() && !r.settled[i.ID]
}

// look reads the reviews of what is over. Those that are settled are not read again.
func (r *reviews) look(ctx context.Context, all []incident.Incident, now time.Time) error {
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
		line, _ := review.Stand(i.ID, &i, kept, ReviewDue, now)
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

// watchReviews looks while this replica leads.
func (a *App) watchReviews(ctx context.Context) {
	for {
		wait := reviewLook
		if !a.leading.Load() {
			a.reviews.overdue.Set(0)
			a.reviews.items.Set(0)
			wait = firstReviewLook
		} else if err := a.reviews.look(ctx, a.engine.Incidents(), a.clock.Now()); err != nil && ctx.Err() == nil {
			a.o.Logger.Warn("reviews not read; tried again later", "err", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}
