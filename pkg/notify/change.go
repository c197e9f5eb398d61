package notify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/strutil"
)

// Change is a rollout of a watched workload, whoever made it.
type Change struct {
	Target   incident.Target
	Revision int64
	Images   []string
	Cause    string // kubernetes.io/change-cause
	At       time.Time
}

// String is the change in one line.
func (c Change) String() string {
	s := fmt.Sprintf("%s: revision %d", c.Target, c.Revision)
	if len(c.Images) > 0 {
		s += ": " + strings.Join(c.Images, ", ")
	}
	if c.Cause != "" {
		s += " (" + c.Cause + ")"
	}
	return strutil.Visible(s)
}

// ChangeTaker is a receiver that wants to hear of changes.
type ChangeTaker interface {
	Notifier
	TakesChanges() bool
	Changed(ctx context.Context, c Change) error
}
