package notify

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/incident"
)

// board is a public page that drifts as it is told.
type board struct {
	drifts []Drift
	err    error
}

var _ Drifter = board{}

func (board) Name() string { return "board" }

func (board) Notify(_ context.Context, _ incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	return prev, nil
}

func (board) Parts() []string { return []string{"", "c1"} }

func (b board) Drifts(context.Context, []incident.Incident) ([]Drift, error) {
	return b.drifts, b.err
}

func TestWhereThePageDriftsIsSaidOfEachComponent(t *testing.T) {
	for name, c := range map[string]struct {
		page board
		text string
		want map[string]bool
	}{
		"nowhere": {board{}, "", map[string]bool{"page": false, "c1": false}},
		"one component": {board{drifts: []Drift{{Component: "c1", Text: "a"}}},
			"a", map[string]bool{"page": false, "c1": true}},
		"the page, and one of old": {board{drifts: []Drift{{Text: "a"}, {Component: "old", Text: "b"}}}, "a; b",
			map[string]bool{"page": true, "c1": false, "old": true}},
		"the page cannot be read": {board{err: errors.New("500")}, "", map[string]bool{}},
	} {
		reg := prometheus.NewRegistry()
		text, err := NewDriftWatch(reg).Look(t.Context(), []Notifier{c.page}, nil)
		if got := driftGauges(t, reg); text != c.text || !maps.Equal(got, c.want) ||
			(err != nil) != (c.page.err != nil) {
			t.Errorf("%s: %q %v %v", name, text, got, err)
		}
	}
}

// driftGauges are the components of which the metric tells, and whether each drifts.
func driftGauges(t *testing.T, reg *prometheus.Registry) map[string]bool {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue() == 1
		}
	}
	return got
}
