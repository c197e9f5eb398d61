package remediate

import (
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// notBackAndForth: no field is set back to a value that watchdog recently changed (INV-23).
// If capacity is needed again right after its lease expired, the size of the workload is
// a person's decision.
func notBackAndForth(f Facts, p incident.Plan) incident.Answer {
	own := ownMoves(f)
	for _, m := range own {
		if m.Op == f.OpID || m.Object != p.Object.UID || m.Field != p.Field || m.From != p.After {
			continue
		}
		return hold(incident.HandOver, "watchdog changed %s from %s to %s %s ago (op %s); changing it back to %s "+
			"within %s would oscillate", m.Field, m.From, m.To, f.Now.Sub(m.At).Round(time.Second), m.Op, p.After,
			f.Settings.OwnChange)
	}
	return pass("0 of %d changes by watchdog within %s moved %s away from %s", len(own), f.Settings.OwnChange, p.Field,
		p.After)
}
