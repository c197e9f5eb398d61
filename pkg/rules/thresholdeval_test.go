package rules

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// latency is the rule most tables use: above 0.5s for 30s, clear at 0.4s for 30s.
func latency() Threshold {
	return Threshold{
		Name: "response_time", What: "p95", Unit: "seconds", Severity: "P2", Above: true, Bound: .5, Clear: .4,
		For: 30 * time.Second, ClearFor: 30 * time.Second, Staleness: time.Minute,
		Expr: "watchdog_sla_response_time_seconds", Targets: []string{"a"},
	}
}

// play evaluates one observation every 15s; a NaN stands for no data.
func play(r Threshold, values ...float64) []State {
	var s State
	var all []State
	for i, v := range values {
		o := Observation{Value: v}
		if math.IsNaN(v) {
			o = Observation{Unknown: NoData, Reason: "no series"}
		}
		s = Eval(&r, s, o, start.Add(time.Duration(i)*15*time.Second))
		all = append(all, s)
	}
	return all
}

func TestAnAlertFiresAfterForAndClearsOnTheClearSideOnly(t *testing.T) {
	no := math.NaN()
	below := latency()
	below.Above, below.Bound, below.Clear = false, 2, 2
	at0 := latency()
	at0.For, at0.ClearFor = 0, 0
	for _, tc := range []struct {
		name   string
		rule   Threshold
		values []float64
		want   string // one letter per evaluation: i, p, f
	}{
		{"breach for long enough fires", latency(), []float64{.6, .6, .6, .6}, "ppff"},
		{"a good value starts the count again", latency(), []float64{.6, .6, .5, .6, .6, .6}, "ppippf"},
		{"no data freezes the count", latency(), []float64{.6, .6, no, .6, .6}, "ppppf"},
		{"no data alone never fires", latency(), []float64{.6, no, no, no, no}, "ppppp"},
		{"the bound itself is no breach", latency(), []float64{.5, .5, .5}, "iii"},
		{"between the bounds it goes on firing", latency(), []float64{.6, .6, .6, .45, .45, .45, .45}, "ppfffff"},
		{"the clear side clears after its time", latency(), []float64{.6, .6, .6, .3, .3, .3, .3}, "ppfffii"},
		{"a value between the bounds restarts clearing", latency(), []float64{.6, .6, .6, .3, .3, .45, .3, .3, .3},
			"ppffffffi"},
		{"no data does not clear", latency(), []float64{.6, .6, .6, .3, no, no, no, no, .3}, "ppfffffff"},
		{"only time seen on both ends clears", latency(), []float64{.6, .6, .6, .3, no, .3, .3, .3}, "ppfffffi"},
		{"for and clear_for of nothing act at once", at0, []float64{.6, .3, .6}, "fif"},
		{"below: the clear bound itself clears", below, []float64{1, 1, 1, 2, 2, 2}, "ppfffi"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got string
			for _, s := range play(tc.rule, tc.values...) {
				got += string(s.State[0])
			}
			if got != tc.want {
				t.Errorf("states %s, want %s", got, tc.want)
			}
		})
	}
}

func TestAPendingAlertWithoutDataIsGivenUpAfterFourTimesFor(t *testing.T) {
	r := latency()
	s := Eval(&r, State{}, Observation{Value: 1}, start)
	s = Eval(&r, s, Observation{Unknown: NoData}, start.Add(4*r.For))
	if s.State != Pending {
		t.Fatalf("after four times for: %s, want pending", s.State)
	}
	if s = Eval(&r, s, Observation{Unknown: NoData}, start.Add(4*r.For+time.Second)); s.State != Inactive {
		t.Fatalf("later: %s, want inactive", s.State)
	}
}

func TestTimeInWhichNobodyLookedDoesNotCount(t *testing.T) {
	r := latency()
	s := Eval(&r, State{}, Observation{Value: 1}, start)
	s = Eval(&r, s, Observation{Value: 1}, start.Add(time.Hour))
	if s.State != Pending || s.Held != 0 {
		t.Errorf("after an hour's sleep: %s, held %s, want pending, 0s", s.State, s.Held)
	}
	s = Eval(&r, s, Observation{Value: 1}, start)
	if s.State != Pending || s.Held != 0 {
		t.Errorf("after the clock went back: %s, held %s, want pending, 0s", s.State, s.Held)
	}
	s = Eval(&r, s, Observation{Value: 1}, start.Add(30*time.Second))
	if s.State != Firing {
		t.Errorf("counting after the clock went back: %s, want firing", s.State)
	}
}

// INV-15: whatever is not a finite number is neither OK nor BREACH.
func TestValuesThatAreNoNumbersAreErrors(t *testing.T) {
	r := latency()
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		s := Eval(&r, State{}, Observation{Value: v}, start)
		if s.Verdict != Error || s.State != Inactive {
			t.Errorf("%v: %s %s, want ERROR inactive", v, s.Verdict, s.State)
		}
	}
}

func TestReasonsPutValueAndBoundSideBySide(t *testing.T) {
	states := play(latency(), .912, .912, .912, .45, .38, .38, math.NaN())
	want := []string{
		"p95 912ms > 500ms for 0s",
		"p95 912ms > 500ms for 15s",
		"p95 912ms > 500ms for 30s",
		"p95 450ms, not yet on the clear side of 400ms",
		"p95 380ms, on the clear side of 400ms for 0s of 30s",
		"p95 380ms, on the clear side of 400ms for 15s of 30s",
		"no series",
	}
	var got []string
	r := latency()
	for _, s := range states {
		got = append(got, r.Reason(s))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// INV-08, INV-10: over random histories an unknown observation changes neither
// the state to firing nor from firing, and adds to no count.
func TestAnUnknownObservationNeverFiresAndNeverClears(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	unknown := []Verdict{NoData, Stale, Error, Conflict}
	for range 2000 {
		r := latency()
		r.For = time.Duration(rnd.IntN(4)) * 15 * time.Second
		r.ClearFor = time.Duration(rnd.IntN(4)) * 15 * time.Second
		var s State
		at := start
		for range 60 {
			at = at.Add(time.Duration(rnd.IntN(30)) * time.Second)
			o := Observation{Value: rnd.Float64()}
			if rnd.IntN(2) == 0 {
				o = Observation{Unknown: unknown[rnd.IntN(len(unknown))]}
			}
			prev := s
			s = Eval(&r, s, o, at)
			if o.Unknown == "" {
				continue
			}
			if (prev.State == Firing) != (s.State == Firing) {
				t.Fatalf("%s moved the alert from %q to %q", o.Unknown, prev.State, s.State)
			}
			if s.Held > prev.Held || s.ClearHeld > prev.ClearHeld {
				t.Fatalf("%s was counted: held %s → %s, clear %s → %s", o.Unknown, prev.Held, s.Held, prev.ClearHeld,
					s.ClearHeld)
			}
		}
	}
}

// Taking the unknown observations out of a history, and their time with them,
// must not make the alert fire later: they may only delay it.
func TestUnknownObservationsOnlyDelayFiring(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		r := latency()
		var with, without State
		at, at2 := start, start
		for range 40 {
			at = at.Add(15 * time.Second)
			if rnd.IntN(3) == 0 {
				with = Eval(&r, with, Observation{Unknown: Error}, at)
				continue
			}
			at2 = at2.Add(15 * time.Second)
			o := Observation{Value: .3 + rnd.Float64()}
			with, without = Eval(&r, with, o, at), Eval(&r, without, o, at2)
			if with.State == Firing && without.State == Inactive && with.FiredAt.Equal(at) {
				t.Fatalf("fires only because of unknown observations at %s", at)
			}
		}
	}
}

func TestEvalIsAFunctionOfItsArguments(t *testing.T) {
	a, b := play(latency(), .6, .6, math.NaN(), .6, .3), play(latency(), .6, .6, math.NaN(), .6, .3)
	if d := cmp.Diff(a, b, cmp.AllowUnexported(State{}, history{}), cmp.Comparer(labels.Equal)); d != "" {
		t.Error(d)
	}
}

// However often it is evaluated, what is kept of a breach spans the time until the
// alert fires: a value that grew all the while is not shown as one that stood still.
func TestWhatIsKeptOfABreachSpansItsTime(t *testing.T) {
	for _, step := range []time.Duration{50 * time.Millisecond, time.Second, 15 * time.Second} {
		r := latency()
		s := State{}
		at := start
		for s.State != Firing {
			at = at.Add(step)
			s = Eval(&r, s, Observation{Value: 10 + at.Sub(start).Seconds()/r.For.Seconds()}, at)
			if at.Sub(start) > time.Hour {
				t.Fatal("it never fires")
			}
		}
		if n := len(s.Rising); n < 2 || n > keepRising || s.Rising[n-1]-s.Rising[0] < 0.7 {
			t.Errorf("every %s: %d values kept, %v; the value grew by 1", step, n, s.Rising)
		}
	}
}
