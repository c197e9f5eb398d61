package incident

import (
	"fmt"
	"slices"
	"time"
)

// holdGuards are the guards of holds on a workload, a namespace or everything. Maintenance
// windows and silences expire by themselves.
var holdGuards = []string{"hold", "kill switch"}

// onHold starts or checks the clock of a person's hold: it may have been
// forgotten, and it hides the breach from everybody else. After HoldLimit a person is paged,
// and the incident keeps waiting for the end of the hold (INV-65).
func (s *step) onHold(reason string) {
	if !slices.ContainsFunc(s.i.Answers, func(a Answer) bool {
		return a.Hold == Suppress &&
			slices.Contains(holdGuards, a.Guard)
	}) {
		s.i.OnHoldSince = time.Time{}
		return
	}
	if s.i.OnHoldSince.IsZero() {
		s.i.OnHoldSince = s.at
	}
	if held := s.at.Sub(s.i.OnHoldSince); s.p.HoldLimit > 0 && held >= s.p.HoldLimit && !s.i.Paged {
		s.page(fmt.Sprintf("%s has been in breach for %s while watchdog is on hold: %s", s.i.Lead,
			held.Round(time.Second), reason))
	}
}
