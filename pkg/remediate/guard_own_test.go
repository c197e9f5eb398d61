package remediate

import (
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// acted is the world ten minutes after the action's plan was carried out.
func acted(t *testing.T, action incident.Action) (Facts, incident.Plan) {
	t.Helper()
	f := facts(action)
	f.Settings.OwnChange = time.Hour
	p := mustPlan(t, f)
	f.Ledger.Moves = []incident.Move{{Op: "op-1", Object: p.Object.UID, Field: p.Field, From: p.Before, To: p.After,
		Was: p.Was, At: f.Now}}
	f.Now = f.Now.Add(10 * time.Minute)
	f.Incident.OpenedAt, f.Alert.ActiveAt, f.Alert.EvaluatedAt = f.Now, f.Now, f.Now
	f.Signals[0].At, f.Signals[1].At = f.Now, f.Now
	return f, p
}

// TestWhatSomebodyUndidIsNotDoneAgain_INV28: facts of the workload are as before
// the change, so somebody set it back.
func TestWhatSomebodyUndidIsNotDoneAgain_INV28(t *testing.T) {
	for _, action := range []incident.Action{"scale", "restart", "rollback"} {
		f, _ := acted(t, action)
		f.Workload.Managers = append(f.Workload.Managers, Manager{Name: "argocd-controller",
			At: f.Now.Add(-12 * time.Minute), Replicas: true, Template: true})
		_, answers := Consider(f)
		checkHeld(t, answers, "control conflict", incident.HandOver,
			`last written by "argocd-controller"; no second attempt within 1h`)
		f.Now = f.Now.Add(time.Hour)
		f.Incident.OpenedAt, f.Alert.ActiveAt, f.Alert.EvaluatedAt = f.Now, f.Now, f.Now
		if _, answers := Consider(f); guardHold(answers, "control conflict") != "" {
			t.Errorf("%s: remembered for longer than OwnChange: %+v", action, holding(answers))
		}
	}
}

func TestWhatStandsIsNoConflict_INV28(t *testing.T) {
	f, _ := acted(t, "scale")
	w := &f.Workload
	w.Desired, w.Ready, w.Updated, w.Available, w.Pods = 5, 5, 5, 5, pods(5, "u-4")
	if _, answers := Consider(f); len(holding(answers)) > 0 {
		t.Errorf("held: %+v", holding(answers))
	}
	// Our own end of the lease is no conflict either.
	f, p := acted(t, "scale")
	f.Ledger.Moves = append(f.Ledger.Moves, incident.Move{Op: "op-1r", Object: p.Object.UID, Field: p.Field, From: "5",
		To: "4", At: f.Now})
	_, answers := Consider(f)
	if guardHold(answers, "control conflict") != "" {
		t.Errorf("held: %+v", holding(answers))
	}
	// A deploy since then is another template, not the one before.
	f, _ = acted(t, "restart")
	f.Workload.Template = template("agent-system:v2.3.0")
	if _, answers := Consider(f); guardHold(answers, "control conflict") != "" {
		t.Errorf("held: %+v", holding(answers))
	}
}

func TestNoFieldGoesToAndFro_INV23(t *testing.T) {
	f, p := acted(t, "scale")
	f.Ledger.Moves = append(f.Ledger.Moves, incident.Move{Op: "op-1r", Object: p.Object.UID, Field: p.Field, From: "5",
		To: "4", At: f.Now.Add(-time.Minute)})
	_, answers := Consider(f)
	checkHeld(t, answers, "oscillation", incident.HandOver, "watchdog changed spec.replicas from 5 to 4 1m0s ago")
	f.Options.By = "50%"
	if _, answers := Consider(f); len(holding(answers)) > 0 {
		t.Errorf("another number is no oscillation: %+v", holding(answers))
	}
}

func guardHold(answers []incident.Answer, guard string) incident.Hold {
	for _, a := range answers {
		if a.Guard == guard {
			return a.Hold
		}
	}
	return "not asked"
}

func TestTheStartAfterOurOwnRestartIsNoNewFault_INV10(t *testing.T) {
	f, _ := acted(t, "restart")
	f.Settings.StartupGrace = 15 * time.Minute
	f.Workload.Template = template("agent-system:v2.2.0", RestartedAtAnnotation, "2026-03-01T12:00:00Z")
	f.Workload.Revisions[0].Template = f.Workload.Template
	_, answers := Consider(f)
	checkHeld(t, answers, "settling", incident.Wait,
		"the breach began 10m0s after watchdog replaced the pods (op op-1)")
	// The breach that the restart was for, and one that comes later, are none.
	for _, began := range []time.Duration{-11 * time.Minute, 6 * time.Minute} {
		g := f
		g.Now = f.Now.Add(max(0, began))
		g.Alert.ActiveAt, g.Alert.EvaluatedAt, g.Incident.OpenedAt = f.Now.Add(began), g.Now, g.Now
		if _, answers := Consider(g); guardHold(answers, "settling") != "" {
			t.Errorf("began %s: %+v", began, holding(answers))
		}
	}
}
