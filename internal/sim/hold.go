package sim

import (
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// holdSlack is how long an engine may take to look again.
const holdSlack = 4 * time.Minute

// suppressed follows since when an incident waits for the end of a person's hold.
func (o *oracle) suppressed(i incident.Incident) {
	if i.Phase != incident.Suppressed {
		delete(o.waits, i.ID)
	} else if _, known := o.waits[i.ID]; !known {
		o.waits[i.ID] = o.w.clock.now
	}
}

// forgotten looks at the end whether a hold kept from people what goes on under it.
func (o *oracle) forgotten(i incident.Incident) {
	since, waits := o.waits[i.ID]
	limit := o.w.scenario.Policy.Core.HoldLimit
	if lead, _ := i.Alert(i.Lead); limit == 0 || !waits || i.Paged || lead.Verdict != incident.Breach {
		return
	}
	if held := o.w.clock.now.Sub(since); held > limit+holdSlack {
		o.violate("INV-65", "%s on %s (incident %s) has been in breach under a hold for %s, and no receiver was notified",
			i.Lead, i.Target.Name, i.ID, held.Round(time.Second))
	}
}
