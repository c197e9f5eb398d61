package app

import (
	"slices"
	"testing"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/remediate"
)

// The configuration may not import the actions, so that what it takes is written twice.
func TestTheConfigurationTakesEveryAllowanceOfAJob(t *testing.T) {
	if !slices.Equal(config.JobAllowances, remediate.JobAllowances) {
		t.Errorf("the configuration takes %v, and a Job can be allowed %v", config.JobAllowances,
			remediate.JobAllowances)
	}
}
