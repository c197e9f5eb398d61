package app

import (
	"context"
	"errors"
	"maps"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// board is a public page that drifts as it is told.
type board struct {
	drifts []notify.Drift
	err    error
}

var _ notify.Drifter = board{}

func (board) Name() string { return "board" }

func (board) Notify(_ context.Context, _ incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	return prev, nil
}

func (board) Parts() []string { return []string{"", "c1"} }

func (b board) Drifts(context.Context, []incident.Incident) ([]notify.Drift, error) {
	return b.drifts, b.err
}

func TestWhereThePageDriftsIsSaidOfEachComponent(t *testing.T) {
	for name, c := range map[string]struct {
		page board
		text string
		want map[string]bool
	}{
		"nowhere":                  {board{}, "", map[string]bool{"page": false, "c1": false}},
		"one component":            {board{drifts: []notify.Drift{{Component: "c1", Text: "a"}}}, "a", map[string]bool{"page": false, "c1": true}},
		"the page, and one of old": {board{drifts: []notify.Drift{{Text: "a"}, {Component: "old", Text: "b"}}}, "a; b", map[string]bool{"page": true, "c1": false, "old": true}},
		"the page cannot be read":  {board{err: errors.New("500")}, "", map[string]bool{}},
	} {
		got := map[string]bool{}
		text, err := comparePage(t.Context(), []notify.Notifier{c.page}, nil, func(component string, drifts bool) { got[component] = drifts })
		if text != c.text || !maps.Equal(got, c.want) || (err != nil) != (c.page.err != nil) {
			t.Errorf("%s: %q %v %v", name, text, got, err)
		}
	}
}
