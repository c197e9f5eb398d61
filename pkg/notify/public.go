package notify

import (
	"context"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Public is a public receiver: no test notification is sent to it.
type Public interface {
	Notifier
	// What describes what Reach shows.
	What() string
	// Reach checks whether it can be reached, and changes nothing.
	Reach(ctx context.Context) error
}

// Drift is where the page has differed from the measured state for too long.
type Drift struct {
	Component string // the page's id; empty: the page as a whole
	Text      string // for the team
}

// Drifter is a receiver that can be read back.
type Drifter interface {
	Notifier
	// Parts are the components that are compared.
	Parts() []string
	// Drifts compares what the public reads with the incidents, those that are over among them.
	Drifts(ctx context.Context, all []incident.Incident) ([]Drift, error)
}

// ScheduledMaintenance is planned work as the public reads it.
type ScheduledMaintenance struct {
	Key         string // by which it is found again; the public never sees it
	Name, Body  string
	From, Until time.Time
	Targets     []string // that are worked on; empty: all
	Components  []string // the page's ids; empty: those of the targets
}

// Maintainer is a receiver that announces planned work.
type Maintainer interface {
	Notifier
	// Maintain brings the page to the state: scheduled, in_progress, verifying or
	// completed. It may be called as often as one likes.
	Maintain(ctx context.Context, m ScheduledMaintenance, state string) error
}
