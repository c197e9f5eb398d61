package remediate

import (
	"fmt"

	"watchdog.io/watchdog/pkg/incident"
)

// planCapture takes evidence. It writes nothing, so nothing but its own bounds holds it.
func planCapture(f Facts) (incident.Plan, *incident.Answer) {
	return incident.Plan{Summary: fmt.Sprintf("capture evidence of %s", f.Workload.Target)}, nil
}
