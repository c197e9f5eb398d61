package policy

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// The source whose rule is in breach does not say good, though its look finds nothing wrong.
func TestARuleInBreachIsAWitness_X91(t *testing.T) {
	now := time.Now()
	looks := []probes.Status{{Kind: "kubernetes", Probe: "kubernetes", Damped: probes.OK, Detail: "3 of 3 ready",
		At: now}}
	for name, tt := range map[string]struct {
		alert rules.Alert
		bad   bool
	}{
		"memory above its bound": {rules.Alert{Rule: "memory", Verdict: rules.Breach, Reason: "memory 90% > 85%"},
			true},
		"memory below":     {rules.Alert{Rule: "memory", Verdict: rules.OK}, false},
		"memory not known": {rules.Alert{Rule: "memory", Verdict: rules.NoData}, false},
		"restarts half an hour back": {rules.Alert{Rule: "restarts", Verdict: rules.Breach, Lookback: 30 * time.Minute},
			false},
	} {
		tt.alert.SourceKind, tt.alert.EvaluatedAt = "kubernetes", now
		for _, s := range Signals([]rules.Alert{tt.alert}, looks) {
			if s.Source == "kubernetes" && (!s.Known || s.Bad != tt.bad) {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
}

// The shipped memory ladder may restart in mode auto: the kubelet is its one witness, and says so.
func TestTheShippedMemoryRuleNamesThePodAndMayRestart_X91_X95(t *testing.T) {
	cfg, err := config.Parse("x.yaml", []byte("mode: auto\ntargets: [{name: cart, mode: auto, namespace: shop, "+
		"workload: deployment/cart}]\nthresholds: [{metric: memory, mode: auto}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	looks := []probes.Status{{Kind: "kubernetes", Probe: "kubernetes", Damped: probes.OK, At: now,
		Usage: []probes.Usage{{Pod: "cart-a", Container: "app", CPU: .1, Memory: .31},
			{Pod: "cart-b", Container: "app", CPU: .1, Memory: .99}}}}
	v := p.View([]rules.Alert{{Rule: "memory", Target: "cart", State: rules.Firing, Verdict: rules.Breach,
		Reason: "memory 97% > 85% for 10m0s", SourceKind: "kubernetes", Bound: .85, Above: true, EvaluatedAt: now}},
		looks)
	if got := v.Alerts[0].Reason; !strings.Contains(got, "pod cart-b, container app; 1 of 2 containers above 85%") {
		t.Errorf("%q", got)
	}
	r := p.rung("cart", incident.Alert{Rule: "memory"}, 1)
	if r.Mode != incident.Auto || r.Options.SingleSource == "" || p.Ladder("memory")[1].Action != "restart" {
		t.Errorf("%+v", r)
	}
	for _, s := range v.Signals {
		if s.Source == "kubernetes" && !s.Bad {
			t.Errorf("%+v", remediate.Signal(s))
		}
	}
}

// A0: a rule over damped probes sees what is over for as long as the damping takes.
func TestARuleOverProbesLooksBackAsFarAsTheyAreDamped_A0(t *testing.T) {
	cfg, err := config.Parse("x.yaml", []byte(`
targets:
  - name: shop
    namespace: shop
    workload: deployment/shop
    probes:
      - health: { url: "http://shop.shop/health", interval: 1m, successes: 4 }
      - http: { url: "http://shop.shop/", interval: 10s }
`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]time.Duration{"probe": 5 * time.Minute, "app": 2 * time.Minute} {
		v := p.View([]rules.Alert{{Rule: "Down", Target: "shop", SourceKind: source, Lookback: 2 * time.Minute}}, nil)
		if got := v.Alerts[0].Lookback; got != want {
			t.Errorf("a rule over %s looks back %s, want %s", source, got, want)
		}
	}
}
