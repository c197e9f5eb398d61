package remediate

import (
	"fmt"

	"watchdog.io/watchdog/pkg/incident"
)

// capture takes evidence. It writes nothing, so nothing but its own bounds holds it.
type capture struct{}

func (capture) Name() incident.Action { return incident.ActionCapture }
func (capture) Class() incident.Class { return incident.C0 }

func (capture) Plan(f Facts) (incident.Plan, *incident.Answer) {
	return incident.Plan{Summary: fmt.Sprintf("capture evidence of %s", f.Workload.Target)}, nil
}
