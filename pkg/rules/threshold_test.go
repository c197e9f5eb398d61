package rules

import (
	"fmt"
	"slices"
	"testing"
)

func TestTheTextOfARuleTakesNoLookAtItsTargets(t *testing.T) {
	r := Threshold{Expr: "a[$window]"}
	for k := range 1000 {
		r.Targets = append(r.Targets, fmt.Sprintf("t%d", 1000-k))
	}
	var text string
	with := testing.AllocsPerRun(10, func() { text = r.Text() })
	r.Targets = nil
	without := testing.AllocsPerRun(10, func() { text = r.Text() })
	if text != "a[5m]" || with != without {
		t.Errorf("%s with %.0f allocations, and %.0f without targets", text, with, without)
	}
}

func TestTheTargetsOfARuleAreSortedAndNamedOnce(t *testing.T) {
	for _, given := range [][]string{{"b", "a", "b"}, {"a", "a", "b"}, {"a", "b"}} {
		before := slices.Clone(given)
		if got := (Threshold{Targets: given}).withDefaults().Targets; !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%v became %v", before, got)
		}
		if !slices.Equal(given, before) {
			t.Errorf("%v of the caller was changed to %v", before, given)
		}
	}
}
