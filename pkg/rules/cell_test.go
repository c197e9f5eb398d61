package rules

import (
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// TestACellKeepsAllOfAState: also what is added to State one day.
func TestACellKeepsAllOfAState(t *testing.T) {
	check := func(what string, s State) {
		t.Helper()
		var c cell
		c.set(s)
		if got := c.state(); !reflect.DeepEqual(got, s) || c.is() != s.State {
			t.Errorf("%s: kept %+v, want %+v", what, got, s)
		}
	}
	well := history{same: 1, n: 2, at: 3}
	calm := State{State: Inactive, Verdict: OK, Value: 4, Labels: labels.FromStrings("target", "a"), Unknown: "b",
		Quiet: true, Silent: true, EvaluatedAt: evaluated, LastDataAt: evaluated.Add(-time.Second), well: well}
	check("never active", calm)
	var c cell
	if c.set(calm); c.active != nil {
		t.Error("an alert that was never active takes the room of one that was")
	}
	if n := testing.AllocsPerRun(10, func() { c.set(calm) }); n != 0 {
		t.Errorf("to set the state of an idle alert takes %g allocations", n)
	}
	values := map[string]any{"State": Firing, "ActiveAt": evaluated, "FiredAt": evaluated, "ClearSince": evaluated,
		"Held": time.Second, "ClearHeld": time.Second, "Usual": 1.0, "Noise": 1.0, "Rising": []float64{1}}
	of := reflect.TypeFor[State]()
	for i := range of.NumField() {
		name := of.Field(i).Name
		s := calm
		switch f := reflect.ValueOf(&s).Elem().Field(i); {
		case name == "risingAt":
			s.risingAt = evaluated
		case values[name] != nil:
			f.Set(reflect.ValueOf(values[name]))
		case f.IsZero():
			t.Errorf("%s: a value of it is missing in this test", name)
		}
		check(name, s)
	}
	if c.set(State{State: Firing}); c.state().Verdict != "" {
		t.Error("what it was before is mixed with what it is")
	}
}

var evaluated = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
