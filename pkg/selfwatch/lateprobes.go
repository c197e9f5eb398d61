package selfwatch

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

const (
	// lateLook is how often skipped probes are counted, and lateCalm how long none may be
	// skipped until that is over.
	lateLook = time.Minute
	lateCalm = 5 * time.Minute
)

// lateShares are those that are told apart, in percent: a text with the exact one would be
// sent again each minute.
var lateShares = []float64{50, 25, 10, 5, 1}

// LateProbes notices that probes are skipped because this process does not keep up: a target
// that is not probed is not watched.
type LateProbes struct {
	Logger *slog.Logger

	mu           sync.Mutex
	looked       time.Time
	skipped, due uint64
	share        float64 // the greatest of lateShares that was exceeded since it began; 0: none
	since, last  time.Time
}

// Look takes how many turns of probes were skipped and how many there were since the start.
func (l *LateProbes) Look(skipped, due uint64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.looked) < lateLook && !now.Before(l.looked) {
		return
	}
	share := 0.0
	if n := due - l.due; n > 0 && !l.looked.IsZero() {
		share = 100 * float64(skipped-l.skipped) / float64(n)
	}
	l.looked, l.skipped, l.due = now, skipped, due
	was := l.share
	for _, s := range lateShares {
		if share >= s {
			l.share, l.last = max(l.share, s), now
			break
		}
	}
	switch {
	case was == 0 && l.share > 0:
		l.since = now
		l.Logger.Warn("probes are skipped: this process does not keep up", "share", fmt.Sprintf("%.0f%%", share),
			"metric", "watchdog_probe_skipped_total", "help", "give watchdog more CPU, or lengthen the probes' intervals")
	case l.share > 0 && now.Sub(l.last) >= lateCalm:
		l.share = 0
		l.Logger.Info("no probes are skipped any more")
	}
}

// Why says that probes are skipped; empty: they are not.
func (l *LateProbes) Why() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why()
}

func (l *LateProbes) why() string {
	if l.share == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f%% or more of the probes of a minute were skipped since %s UTC because watchdog does not keep "+
		"up (watchdog_probe_skipped_total): it sees failures later; give it more CPU, or lengthen the probes' intervals",
		l.share, l.since.UTC().Format("15:04"))
}

// Alarm is the alert on it, part of watchdog's own incident.
func (l *LateProbes) Alarm(now time.Time) incident.Alert {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := incident.Alert{Rule: "probes_late", Severity: incident.P2, Verdict: incident.OK,
		Reason: "no probes are skipped", Source: "watchdog", EvaluatedAt: now}
	if why := l.why(); why != "" {
		a.Firing, a.Verdict, a.Reason, a.ActiveAt = true, incident.Breach, why, l.since
	}
	return a
}
