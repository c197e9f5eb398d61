package selfwatch

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/strutil"
)

// refusedFor is how long a configuration must stay refused until people are notified: a
// rule file may arrive a moment after the file that names it.
const refusedFor = 10 * time.Second

// maxRefusal bounds how much of an error is reported.
const maxRefusal = 400

// Refusal is a configuration that was not loaded: what runs is an older one.
type Refusal struct {
	mu    sync.Mutex
	text  string // empty: the last one was loaded
	since time.Time
}

// Take notes the result of a reload and reports whether it is news.
func (r *Refusal) Take(err error, now time.Time) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := refusalText(err)
	news = text != r.text
	if r.text == "" || text == "" {
		r.since = now
	}
	r.text = text
	return news
}

// Stands reports whether the last reload failed.
func (r *Refusal) Stands() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text != ""
}

// Alarm is the alert on it, part of watchdog's own incident: the refused file is reported
// to people, shown by `watchdog status`, and written as an Event on the Deployment.
func (r *Refusal) Alarm(now time.Time) incident.Alert {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := incident.Alert{Rule: incident.ConfigRefused, Severity: incident.P3, Verdict: incident.OK,
		Reason: "the configuration is loaded", Source: "watchdog", EvaluatedAt: now}
	if r.text != "" && now.Sub(r.since) >= refusedFor {
		a.Firing, a.Verdict, a.ActiveAt = true, incident.Breach, r.since
		a.Reason = "reload failed, keeping the previous configuration: " + r.text
	}
	return a
}

// refusalText is the first problem, and how many more there are.
func refusalText(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	var all config.Errors
	if errors.As(err, &all) && len(all) > 0 {
		text = all[0].String()
		if n := len(all) - 1; n > 0 {
			text += fmt.Sprintf(" (and %d more; `watchdog check` lists all)", n)
		}
	}
	return strutil.Shorten(text, maxRefusal)
}
