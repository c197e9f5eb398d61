package remediate

import (
	"cmp"

	"watchdog.io/watchdog/pkg/incident"
)

// modeAllows: modes auto and approve act, the latter after an approval; every other mode
// only reports what watchdog would have done (INV-47, INV-48).
func modeAllows(f Facts, p incident.Plan) incident.Answer {
	why := cmp.Or(f.ModeWhy, "not set")
	mode := incident.Lowest(f.Mode)
	if mode == incident.Auto || mode == incident.Approve {
		return pass("mode %s (%s)", mode, why)
	}
	if p.Summary == "" {
		return hold(incident.Advise, "mode %s (%s): would have planned a %s", mode, why, p.Action)
	}
	return hold(incident.Advise, "mode %s (%s): would have done: %s", mode, why, p.Summary)
}
