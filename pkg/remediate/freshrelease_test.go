package remediate

import (
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// freshly is a workload whose release came up a minute before the breach began.
func freshly(action incident.Action, ladder ...incident.Action) Facts {
	f := facts(action)
	f.Workload.Revisions[0].CreatedAt = f.Alert.ActiveAt.Add(-time.Minute)
	for k, a := range ladder {
		f.Alert.Ladder = append(f.Alert.Ladder, incident.Rung{Action: a, Index: k})
	}
	return f
}

func TestMoreOfAReleaseThatCameUpBadIsNoRemedy(t *testing.T) {
	busy, most := 0.95, 0.7
	for _, c := range []struct {
		name   string
		f      Facts
		change func(*Facts)
		skip   bool
	}{
		{"a restart before a rollback", freshly("restart", "restart", "rollback", "page"), nil, true},
		{"a restart with nothing stronger behind it", freshly("restart", "restart", "page"), nil, false},
		{"a restart long after the release came up", freshly("restart", "restart", "rollback", "page"),
			func(f *Facts) { f.Alert.ActiveAt = f.Now.Add(-time.Minute) }, false},
		{"a restart of a release that was seen healthy", freshly("restart", "restart", "rollback", "page"),
			func(f *Facts) { f.Records[0].GoodAt = f.Alert.ActiveAt.Add(-time.Second) }, false},
		{"a restart of a release that was seen healthy, by a rule that looks back",
			freshly("restart", "restart", "rollback", "page"),
			func(f *Facts) { f.Records[0].GoodAt, f.Alert.Lookback = f.Alert.ActiveAt.Add(-time.Second), time.Hour },
			false},
		{"a restart where no other revision is known to be good", freshly("restart", "restart", "rollback", "page"),
			func(f *Facts) { f.Records = f.Records[:1] }, false},
		{"a scale before a rollback", freshly("scale", "scale", "rollback", "page"), nil, true},
		{"a scale before a rollback, and the pods are busy", freshly("scale", "scale", "rollback", "page"),
			func(f *Facts) { f.CPU = &busy }, false},
		{"a scale with nothing behind it, and the pods are not busy", freshly("scale", "scale", "page"),
			func(f *Facts) { f.CPU = &most }, true},
		{"a scale with nothing behind it, and nobody knows how busy the pods are", freshly("scale", "scale", "page"),
			nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.change != nil {
				c.change(&c.f)
			}
			_, answers := Consider(c.f)
			if c.skip {
				checkHeld(t, answers, "plan", incident.Skip, "which was never healthy for 10m0s")
				return
			}
			if hold, reason, _ := Held(answers); hold != "" {
				t.Errorf("held with %q: %s", hold, reason)
			}
		})
	}
}

func TestAReleaseThatWasSeenHealthyIsNoSuspect_X21(t *testing.T) {
	f := facts("rollback")
	f.Records[0].GoodAt = f.Alert.ActiveAt.Add(-time.Minute)
	_, answers := Consider(f)
	checkHeld(t, answers, "plan", incident.Skip, "was healthy for 10m0s, and the breach began 1m0s after that")
	t.Run("unless the rule looks back to before that", func(t *testing.T) {
		f.Alert.Lookback = 2 * time.Minute
		mustPlan(t, f)
		f.Alert.Lookback = 0
	})
	t.Run("unless it was rolled back since", func(t *testing.T) {
		f.Records[0].RolledBackAt = f.Now.Add(-time.Minute)
		mustPlan(t, f)
	})
}

func TestHowBusyThePodsAreDecidesWhetherMoreOfThemHelp(t *testing.T) {
	idle, busy := 0.4, 0.95
	ladder := []incident.Rung{{Action: "scale"}, {Action: "restart", Index: 1}, {Action: "rollback", Index: 2},
		{Action: "page", Index: 3}}
	for _, c := range []struct {
		name   string
		action incident.Action
		cpu    *float64
		change func(*Facts)
		reason string
	}{
		{"busy pods are added to", "scale", &busy, nil, ""},
		{"that pods are idle proves nothing: threads and connections run short, too", "scale", &idle, nil, ""},
		{"a restart takes capacity from busy pods", "restart", &busy, nil,
			"capacity is short, and a restart adds none"},
		{"a restart of idle pods", "restart", &idle, nil, ""},
		{"a restart of busy pods that nothing but a person follows", "restart", &busy,
			func(f *Facts) { f.Alert.Ladder = ladder[:2] }, ""},
		{"a rollback adds no capacity", "rollback", &busy, nil, "capacity is short, and a rollback adds none"},
		{"a release that keeps its pods busy from its first moment on", "rollback", &busy,
			func(f *Facts) { f.Workload.Revisions[0].CreatedAt = f.Alert.ActiveAt.Add(-time.Minute) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := facts(c.action)
			f.CPU, f.Alert.Ladder = c.cpu, ladder
			for k, r := range ladder {
				if r.Action == c.action {
					f.Alert.Next = k
				}
			}
			if c.change != nil {
				c.change(&f)
			}
			_, answers := Consider(f)
			if c.reason != "" {
				checkHeld(t, answers, "plan", incident.Skip, c.reason)
			} else if hold, reason, _ := Held(answers); hold != "" {
				t.Errorf("held with %q: %s", hold, reason)
			}
		})
	}
}
