package promql

import (
	"testing"
	"time"
)

// TestHowFarAnExpressionLooksBack_X14: for so long the past holds the condition up.
func TestHowFarAnExpressionLooksBack_X14(t *testing.T) {
	for expr, want := range map[string]time.Duration{
		`up == 0`: 0,
		`sum(rate(errors[30m])) / sum(rate(requests[5m])) > 0.1`: 30 * time.Minute,
		`max_over_time(rate(errors[5m])[1h:1m]) > 1`:             65 * time.Minute,
		// Either side ends an `and`; what `unless` takes away does not hold it up.
		`rate(errors[1h]) > 1 and rate(errors[5m]) > 1`: 5 * time.Minute,
		`rate(errors[5m]) > 1 unless rate(ok[1h]) > 1`:  5 * time.Minute,
		`rate(errors[5m]) > 1 or rate(errors[1h]) > 1`:  time.Hour,
		`rate(errors[5m] offset 1d) > 1`:                5 * time.Minute,
		`this is no PromQL`:                             0,
	} {
		if got := Span(expr); got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
	}
}
