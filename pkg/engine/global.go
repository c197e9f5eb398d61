package engine

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

const (
	// blindFor is how long blindness lasts before a person hears of it, unless the settings say
	// otherwise.
	blindFor = 30 * time.Second
	// blindCalm is how long monitoring must see again before blindness is over: a source
	// that comes and goes is one incident (X10).
	blindCalm = 5 * time.Minute
)

// blindness is since when monitoring gives nothing, on and off.
type blindness struct {
	blind      string    // why it gives nothing at this moment; empty: it sees
	blindWhy   string    // why it gave nothing last
	blindSince time.Time // when that began; zero: it is over
	blindLast  time.Time // when it last gave nothing without a break until now; zero: it sees
	blindSum   time.Duration
	seesSince  time.Time
	toldBlind  bool // people are told until it is over
}

// see takes what monitoring says at this moment. What is told is how long it gave nothing
// in all, and not how long without a break: the server restarts, and now and then twice.
func (b *blindness) see(why string, tolerance time.Duration, now time.Time) {
	b.blind = why
	switch {
	case why != "":
		if b.blindSince.IsZero() || now.Before(b.blindSince) {
			b.blindSince, b.blindSum, b.blindLast = now, 0, now
		}
		if !b.blindLast.IsZero() {
			b.blindSum += max(0, now.Sub(b.blindLast))
		}
		b.blindWhy, b.blindLast, b.seesSince = why, now, time.Time{}
		b.toldBlind = b.toldBlind || b.blindSum >= cmp.Or(tolerance, blindFor)
	case b.blindSince.IsZero():
	case b.seesSince.IsZero() || now.Before(b.seesSince):
		b.seesSince, b.blindLast = now, time.Time{}
	case now.Sub(b.seesSince) >= blindCalm:
		*b = blindness{}
	}
}

// resumeBlind goes on with what an earlier leader told.
func (b *blindness) resumeBlind(why string, since time.Time) {
	b.blindWhy, b.blindSince, b.toldBlind = why, since, true
}

func (b *blindness) blindText() string {
	if b.blind != "" || b.blindSince.IsZero() {
		return b.blind
	}
	if b.seesSince.IsZero() {
		return b.blindWhy
	}
	return fmt.Sprintf("%s"+givesAgain+"%s, and the incident ends at %s UTC if that lasts", b.blindWhy, clock(b.seesSince), clock(b.seesSince.Add(blindCalm)))
}

// stormText says what the storm is by the present numbers, since when it lasts, and when it
// ends. Moments are told, not spans: news is told again.
func (w *globalState) stormText(fleet FleetHealth, limit float64) string {
	text := fmt.Sprintf("%d of %d watched targets are in breach, at most %.4g are believed", fleet.Unhealthy, fleet.Watched, limit)
	if w.calmSince.IsZero() {
		return fmt.Sprintf("%s: a shared cause, or watchdog's own eyes (since %s UTC; what counts as a storm: budget.max_unhealthy and budget.storm_from)", text, clock(w.stormSince))
	}
	return fmt.Sprintf("%s (a storm since %s, calm since %s, over at %s UTC if it stays calm; what counts as a storm: budget.max_unhealthy and budget.storm_from)", text, clock(w.stormSince), clock(w.calmSince), clock(w.calmSince.Add(stormCalm)))
}

// news is what of the text of an alert is worth a write: a storm's numbers and moments, and
// that a source gives data again. People read them in the incident.
func news(a incident.Alert) string {
	switch a.Rule {
	case "storm":
		return a.Reason
	case "blind":
		_, again, _ := strings.Cut(a.Reason, givesAgain)
		return again
	}
	return ""
}

// givesAgain is what the text of blindness says once a source is back.
const givesAgain = "; it gives data again since "

func clock(at time.Time) string { return at.UTC().Format("15:04:05") }
