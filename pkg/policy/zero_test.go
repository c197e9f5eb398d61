package policy

import (
	"testing"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/rules"
)

// TestAnAlertOfScaledToZeroSaysWhoseChangeItWas_X104: a target without a probe of its own.
func TestAnAlertOfScaledToZeroSaysWhoseChangeItWas_X104(t *testing.T) {
	cfg, err := config.Parse("x.yaml", []byte("targets: [{name: cart, namespace: shop, workload: "+
		"deployment/cart}]\nthresholds: [{metric: scaled_to_zero}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	v := p.View([]rules.Alert{{Rule: "scaled_to_zero", State: rules.Firing, Verdict: rules.Breach,
		Reason: "scaled to zero 1 > 0 for 1m0s"}},
		[]probes.Status{{Probe: "kubernetes", Kind: "kubernetes",
			Detail: "scaled to zero by kubectl-scale at 2026-03-01 12:05:00 UTC",
			Facts:  map[string]string{probes.FactScaledBy: "kubectl-scale at 2026-03-01 12:05:00 UTC"}}})
	if got := v.Alerts[0].Reason; got != "scaled to zero 1 > 0 for 1m0s: scaled to zero by kubectl-scale at "+
		"2026-03-01 12:05:00 UTC" {
		t.Errorf("got %q", got)
	}
	if l := v.Alerts[0].Ladder; len(l) != 1 || l[0].Action != "page" {
		t.Errorf("the ladder is %v", l)
	}
}
