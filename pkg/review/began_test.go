package review

import (
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// A review of what is over knows when it began: the rules have forgotten it by then.
func TestAFinishedIncidentBeganBeforeItWasDetected_A1(t *testing.T) {
	opened := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	slow := incident.Alert{Rule: "error_rate", Severity: incident.P1, Firing: true, Verdict: incident.Breach, Value: 2,
		Bound: 1, Above: true, ActiveAt: opened.Add(-30 * time.Second)}
	fast := incident.Alert{Rule: "crash_looping", Severity: incident.P1, Firing: true, Verdict: incident.Breach,
		Value: 2, Bound: 1, Above: true, ActiveAt: opened.Add(-time.Minute)}
	over := func(a incident.Alert) incident.Alert {
		a.Firing, a.Verdict, a.ActiveAt = false, incident.OK, time.Time{}
		return a
	}
	i := incident.New("i1", incident.Target{Name: "cart", Namespace: "shop", Kind: "deployment", Workload: "cart"},
		opened)
	for k, alerts := range [][]incident.Alert{{slow, fast}, {slow, over(fast)}, {over(slow), over(fast)}} {
		at := opened.Add(time.Duration(k) * time.Minute)
		for x := range alerts {
			alerts[x].EvaluatedAt = at
		}
		i, _ = incident.Step(i, incident.Tick{At: at, Alerts: alerts}, incident.DefaultPolicy())
		marks := map[string]Mark{}
		for _, m := range Of(i, Notes{}, func(time.Time) time.Time { return time.Time{} }).Marks {
			marks[m.Name] = m
		}
		if began, detected := marks["began"], marks["detected"]; !began.At.Equal(opened.Add(-time.Minute)) ||
			detected.After != time.Minute {
			t.Errorf("%s, phase %s: began %s, detected after %s", at.Format(time.TimeOnly), i.Phase,
				began.At.Format(time.TimeOnly), detected.After)
		}
	}
	if i.Phase != incident.Resolved {
		t.Errorf("phase %s", i.Phase)
	}
}
