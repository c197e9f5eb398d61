package recorder

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

const (
	// unstoredAfter is how long storing an incident may fail until that is reported.
	unstoredAfter = time.Minute
	// unstoredAgain is how soon the engine tries again, at the latest: what was not tried for
	// that long is another leader's, or was given up.
	unstoredAgain = 2 * time.Minute
)

// unstored is which incidents could not be stored, since when.
type unstored struct {
	mu  sync.Mutex
	all map[string]unstoredIncident
}

type unstoredIncident struct {
	since, last time.Time
	err         error
}

// take notes what came of storing an incident. A conflict is an answer: it is read again.
func (u *unstored) take(id string, err error, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil || errors.Is(err, incident.ErrConflict) {
		delete(u.all, id)
		return
	}
	f, known := u.all[id]
	if !known || now.Before(f.since) || now.Sub(f.last) > unstoredAgain {
		f.since = now
	}
	f.last, f.err = now, err
	if u.all == nil {
		u.all = map[string]unstoredIncident{}
	}
	u.all[id] = f
}

// why names the incident that could not be stored for the longest time.
func (u *unstored) why(now time.Time) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	id, oldest := "", unstoredIncident{}
	for name, f := range u.all {
		switch {
		case now.Sub(f.last) > unstoredAgain:
			delete(u.all, name)
		case now.Sub(f.since) >= unstoredAfter && (id == "" || f.since.Before(oldest.since)):
			id, oldest = name, f
		}
	}
	if id == "" {
		return ""
	}
	return fmt.Sprintf("incident %s could not be stored since %s UTC, its updates are not sent: %v",
		id, oldest.since.UTC().Format("15:04:05"), oldest.err)
}
