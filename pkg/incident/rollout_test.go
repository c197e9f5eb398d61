package incident

import (
	"strings"
	"testing"
	"time"
)

// slow is a rollout whose pods take minutes.
func slow(ready int) Rollout { return Rollout{Known: true, Ready: ready, Deadline: 10 * time.Minute} }

func TestNoVerdictBeforeTheRolloutIsOver_X102(t *testing.T) {
	a := breach("agents", P1, 5, "restart", "rollback", "page")
	t.Run("pods that take four minutes are waited for, and then the effect has its time", func(t *testing.T) {
		s := tell(t, a).run("restart", C3)
		for range 8 {
			s.after(30*time.Second).tick(slow(3), a).want(Verifying)
		}
		s.after(5*time.Second).tick(steady, a).want(Verifying)
		s.after(50*time.Second).tick(steady, a).want(Verifying)
		s.after(10*time.Second).tick(steady, a).want(Verifying, Release)
		if s.inc.Op.Verdict != NoEffect {
			t.Errorf("verdict %q", s.inc.Op.Verdict)
		}
		n := 0
		for _, e := range s.inc.Timeline {
			if e.Kind == "rolling out" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("it is said %d times why nothing is judged, want once", n)
		}
	})
	t.Run("until the progress deadline", func(t *testing.T) {
		s := tell(t, a).run("restart", C3)
		s.after(9*time.Minute).tick(slow(3), a).want(Verifying)
		s.after(time.Minute).tick(slow(2), a).want(Verifying, Release)
		if s.inc.Op.Verdict != Harmed {
			t.Errorf("verdict %q", s.inc.Op.Verdict)
		}
	})
	t.Run("not for a rollout that is stalled", func(t *testing.T) {
		r := slow(3)
		r.Stalled = "FailedCreate: exceeded quota"
		s := tell(t, a).run("restart", C3)
		s.after(time.Minute).tick(r, a).want(Verifying, Release)
	})
	t.Run("not for hours, whatever the deadline says", func(t *testing.T) {
		r := slow(3)
		r.Deadline = 24 * time.Hour
		s := tell(t, a).run("restart", C3)
		s.after(30*time.Minute).tick(r, a).want(Verifying, Release)
	})
	t.Run("when the workload cannot be read, for the usual deadline", func(t *testing.T) {
		s := tell(t, a).run("restart", C3)
		s.after(9*time.Minute).tick(Rollout{}, a).want(Verifying)
		s.after(time.Minute).tick(Rollout{}, a).want(Verifying, Release)
	})
	t.Run("a job brings no pods of the workload", func(t *testing.T) {
		s := tell(t, a).run("job", C2)
		s.after(time.Minute).tick(slow(3), a).want(Verifying, Release)
	})
}

// X96: what became of the Job is the first thing that its verdict asks for.
func TestAJobThatFailsHadNoEffect_X96(t *testing.T) {
	a := breach("disk", P2, 5, "job", "page")
	running := Rollout{Known: true, OfJob: true, Deadline: 5 * time.Minute}
	failed, done := running, running
	failed.Stalled = "Job clean has failed: backoff limit (BackoffLimitExceeded)"
	done.Done = true
	t.Run("at once, and the next rung follows", func(t *testing.T) {
		s := tell(t, a).run("job", C2)
		s.after(5*time.Second).tick(running, a).want(Verifying)
		s.after(5*time.Second).tick(failed, a).want(Verifying, Release)
		if s.inc.Op.Verdict != NoEffect || !strings.Contains(s.inc.Op.Reason, "BackoffLimitExceeded") {
			t.Errorf("verdict %q: %s", s.inc.Op.Verdict, s.inc.Op.Reason)
		}
	})
	t.Run("also if the condition holds no more: the Job has not done it", func(t *testing.T) {
		s := tell(t, a).run("job", C2)
		s.after(5*time.Second).tick(failed, with(a, OK, true)).want(Verifying, Release)
		if s.inc.Op.Verdict != NoEffect {
			t.Errorf("verdict %q", s.inc.Op.Verdict)
		}
	})
	t.Run("one that works is waited for, and then the effect has its time", func(t *testing.T) {
		s := tell(t, a).run("job", C2)
		s.after(4*time.Minute).tick(running, a).want(Verifying)
		s.after(5*time.Second).tick(done, a).want(Verifying)
		s.after(30*time.Second).tick(done, a).want(Verifying)
		s.after(30*time.Second).tick(done, a).want(Verifying, Release)
	})
	t.Run("one that cannot be read is waited for as a rollout is", func(t *testing.T) {
		s := tell(t, a).run("job", C2)
		s.after(9*time.Minute).tick(Rollout{OfJob: true}, a).want(Verifying)
		s.after(time.Minute).tick(Rollout{OfJob: true}, a).want(Verifying, Release)
		if s.inc.Op.Verdict != NoEffect {
			t.Errorf("verdict %q", s.inc.Op.Verdict)
		}
	})
	t.Run("one that has not ended at its deadline took no replicas away", func(t *testing.T) {
		s := tell(t, a).run("job", C2)
		s.after(5*time.Minute).tick(running, a).want(Verifying, Release)
		if s.inc.Op.Verdict != NoEffect || s.inc.Op.ReadyThen == 0 {
			t.Errorf("verdict %q, %d replicas before: %s", s.inc.Op.Verdict, s.inc.Op.ReadyThen, s.inc.Op.Reason)
		}
	})
}

func TestWhatEndedBeforeTheActionCouldHelpEndedByItself_X105(t *testing.T) {
	a := breach("errors", P1, 5, "scale", "page")
	well := with(a, OK, true)
	came := func(s *story) Rollout {
		r := slow(4)
		r.LastReady = s.at
		return r
	}
	t.Run("the blip was over a minute before the new pod was ready", func(t *testing.T) {
		s := tell(t, a).run("scale", C2)
		s.after(10*time.Second).tick(slow(3), well)
		s.after(time.Minute).tick(came(s), well)
		r := steady
		r.LastReady = s.at
		s.after(time.Second).tick(r, well)
		s.after(11*time.Second).tick(r, well).want(Verifying, Release)
		if s.inc.Op.Verdict != ByItself {
			t.Fatalf("verdict %q: %s", s.inc.Op.Verdict, s.inc.Op.Reason)
		}
		s.step(Released{At: s.at}).want(Verifying)
		s.after(time.Second).tick(r, with(a, OK, false)).want(Resolved)
		if s.inc.Paged {
			t.Error("paged for what is over")
		}
	})
	t.Run("it ended when the new pod was there: helped", func(t *testing.T) {
		s := tell(t, a).run("scale", C2)
		s.after(30*time.Second).tick(came(s), a)
		s.after(time.Second).tick(steady, well)
		s.after(11*time.Second).tick(steady, well).want(Verifying, Release)
		if s.inc.Op.Verdict != Helped {
			t.Errorf("verdict %q", s.inc.Op.Verdict)
		}
	})
	t.Run("it ended as soon as the new pod was ready, and both are seen in one look: helped", func(t *testing.T) {
		s := tell(t, a).run("scale", C2)
		s.after(30*time.Second).tick(slow(3), a)
		s.after(time.Second)
		seen := well
		seen.EvaluatedAt = s.at.Add(-20 * time.Millisecond)
		r := steady
		r.LastReady = s.at.Add(-300 * time.Millisecond)
		s.step(Tick{At: s.at, Alerts: []Alert{seen}, Rollout: r})
		s.after(11*time.Second).tick(r, well).want(Verifying, Release)
		if s.inc.Op.Verdict != Helped {
			t.Errorf("verdict %q: %s", s.inc.Op.Verdict, s.inc.Op.Reason)
		}
	})
	t.Run("it came back in between: the earlier look counts for nothing", func(t *testing.T) {
		s := tell(t, a).run("scale", C2)
		s.after(10*time.Second).tick(slow(3), well)
		s.after(10*time.Second).tick(slow(3), a)
		s.after(10*time.Second).tick(came(s), a)
		s.after(time.Second).tick(steady, well)
		s.after(11*time.Second).tick(steady, well).want(Verifying, Release)
		if s.inc.Op.Verdict != Helped {
			t.Errorf("verdict %q", s.inc.Op.Verdict)
		}
	})
	t.Run("a rollback may help before any pod is ready: it ends those that fail", func(t *testing.T) {
		s := tell(t, breach("errors", P1, 5, "rollback", "page")).run("rollback", C4)
		s.after(10*time.Second).tick(slow(3), well)
		s.after(time.Minute).tick(steady, well)
		s.after(11*time.Second).tick(steady, well).want(Verifying, Release)
		if s.inc.Op.Verdict != Helped {
			t.Errorf("verdict %q", s.inc.Op.Verdict)
		}
	})
}

// W2: what somebody took back before its pods were there has helped nobody.
func TestAScaleThatWasSetBackHasNotHelped_W2(t *testing.T) {
	a := breach("errors", P1, 5, "scale", "page")
	well := with(a, OK, true)
	setBack := steady
	setBack.Replicas = 3
	scale := func(t *testing.T) *story {
		s := tell(t, a).run("scale", C2)
		s.inc.Op.Plan.After = "5"
		return s
	}
	for _, c := range []struct {
		name string
		a    Alert
	}{{"the breach goes on", a}, {"the breach ended", well}} {
		t.Run(c.name, func(t *testing.T) {
			s := scale(t)
			s.after(10*time.Second).tick(setBack, a).want(Verifying)
			s.after(50*time.Second).tick(setBack, c.a).want(Verifying, Release)
			if s.inc.Op.Verdict != Unclear || !strings.Contains(s.inc.Op.Reason,
				"3 replicas are specified, the action set 5") {
				t.Errorf("verdict %q: %s", s.inc.Op.Verdict, s.inc.Op.Reason)
			}
		})
	}
	t.Run("an autoscaler that takes its time is no reason", func(t *testing.T) {
		s := scale(t)
		s.after(10*time.Second).tick(setBack, a)
		r := steady
		r.Replicas = 5
		s.after(10*time.Second).tick(r, well).want(Verifying)
		s.after(time.Minute).tick(r, well).want(Verifying, Release)
		if s.inc.Op.Verdict != Helped {
			t.Errorf("verdict %q: %s", s.inc.Op.Verdict, s.inc.Op.Reason)
		}
	})
}

func TestWhatEndedByItselfLeadsToNoQuarantine_X105(t *testing.T) {
	lim := Limits{PerTarget: Rate{20, time.Hour}, PerNamespace: Rate{20, time.Hour}, Cluster: Rate{20, time.Hour},
		Concurrent: 2, Quarantine: Rate{3, 6 * time.Hour}}
	for verdict, want := range map[OpVerdict]bool{ByItself: false, Helped: true, NoEffect: true} {
		l, at := Ledger{}, t0
		for _, id := range []string{"1", "2", "3"} {
			op := Op{ID: id, Incident: "i" + id, Plan: Plan{Action: "scale", Class: C2, Target: target}, PlannedAt: at}
			next, no := l.Reserve(op, at, lim)
			if no != nil {
				t.Fatal(no)
			}
			op.AppliedAt = at
			l, at = next.Release(op, verdict, at.Add(time.Minute), lim), at.Add(20*time.Minute)
		}
		if _, on := l.Quarantined(target.String()); on != want {
			t.Errorf("three times %q: quarantine %v, want %v", verdict, on, want)
		}
	}
}

// TestBudgetsCountPods_X100: a restart of 200 pods is not the same as one of 2.
func TestBudgetsCountPods_X100(t *testing.T) {
	lim := Limits{PerTarget: Rate{20, time.Hour}, PerNamespace: Rate{20, time.Hour}, Cluster: Rate{20, time.Hour},
		Concurrent: 9, Pods: Rate{100, time.Hour}}
	op := func(id string, pods int) Op {
		o := target
		o.Workload = "app" + id
		return Op{ID: id, Incident: "i" + id, Plan: Plan{Action: "restart", Class: C3, Target: o, Price: pods}}
	}
	reserve := func(l Ledger, o Op, at time.Time) (Ledger, *Answer) {
		next, no := l.Reserve(o, at, lim)
		if no != nil {
			return l, no
		}
		o.AppliedAt = at
		return next.Release(o, Helped, at.Add(time.Minute), lim), nil
	}
	t.Run("ops that fit together, and one that does not", func(t *testing.T) {
		l, no := reserve(Ledger{}, op("1", 60), t0)
		if no != nil {
			t.Fatal(no)
		}
		if l, no = reserve(l, op("2", 40), t0.Add(10*time.Minute)); no != nil {
			t.Fatal(no)
		}
		_, no = reserve(l, op("3", 50), t0.Add(20*time.Minute))
		if no == nil || no.Hold != Wait || no.Reason != "100 of 100 pods disturbed in 1h0m0s; this op adds 50" ||
			!no.RetryAt.Equal(t0.Add(time.Hour)) {
			t.Fatalf("got %+v", no)
		}
		if _, no = reserve(l, op("3", 50), t0.Add(time.Hour)); no != nil {
			t.Errorf("an hour later: %+v", no)
		}
	})
	t.Run("one that is larger than the budget comes first or waits", func(t *testing.T) {
		l, no := reserve(Ledger{}, op("1", 250), t0)
		if no != nil {
			t.Fatal(no)
		}
		if _, no = reserve(l, op("2", 1), t0.Add(time.Minute)); no == nil || no.Hold != Wait {
			t.Errorf("a further pod was allowed: %+v", no)
		}
		l, _ = reserve(Ledger{}, op("1", 1), t0)
		if _, no = reserve(l, op("2", 250), t0.Add(time.Minute)); no == nil || no.Hold != Wait {
			t.Errorf("it did not come first, and was allowed: %+v", no)
		}
	})
	t.Run("what was not written gives its pods back", func(t *testing.T) {
		o := op("1", 100)
		l, _ := Ledger{}.Reserve(o, t0, lim)
		l = l.Release(o, Aborted, t0, lim)
		if _, no := reserve(l, op("2", 100), t0); no != nil {
			t.Errorf("got %+v", no)
		}
	})
	t.Run("without a window there is no limit", func(t *testing.T) {
		lim.Pods = Rate{}
		l, _ := reserve(Ledger{}, op("1", 250), t0)
		if _, no := reserve(l, op("2", 250), t0); no != nil {
			t.Errorf("got %+v", no)
		}
	})
}
