package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/probes"
)

// TestSimulatedProbesWriteTheSeriesOfTheRealOnes: a rule means the same in both.
func TestSimulatedProbesWriteTheSeriesOfTheRealOnes(t *testing.T) {
	s, err := probes.NewScheduler(probes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	known := make(chan *prometheus.Desc, 200)
	for _, c := range s.SamplesCollectors() {
		c.Describe(known)
	}
	close(known)
	var all strings.Builder
	for d := range known {
		all.WriteString(d.String())
	}
	w := &World{scenario: &Scenario{}, clock: newClock(epoch), byName: map[string]*app{}}
	a := newApp(w, Target{Name: "shop", Namespace: "shop", Replicas: 3})
	for _, kind := range []string{"health", "sla", "agents"} {
		r := a.answer(Probe{Kind: kind}, epoch.Add(time.Minute))
		if r.State != probes.OK || len(r.Samples) == 0 {
			t.Errorf("%s: %v, %d samples", kind, r.State, len(r.Samples))
		}
		for _, x := range r.Samples {
			if name := string(x.Metric["__name__"]); !strings.Contains(all.String(), `"`+name+`"`) {
				t.Errorf("no probe writes %s", name)
			}
		}
	}
}
