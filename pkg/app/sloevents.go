package app

import (
	"path/filepath"
	"time"

	"watchdog.io/watchdog/pkg/policy"
)

const (
	eventsFile = "slo-events.jsonl"
	// saveEvents is how often the events of objectives are saved: so much of an error
	// budget's past is lost at worst when the process is killed.
	saveEvents = 5 * time.Minute
)

func (a *App) saveEvents() error {
	if policy.Kept(a.built.Load().cfg) == nil {
		return nil
	}
	return a.samples.Save(filepath.Join(a.o.DataDir, eventsFile))
}

// resumeEvents takes up the events that the process before saved.
func (a *App) resumeEvents() error { return a.samples.Resume(filepath.Join(a.o.DataDir, eventsFile)) }
