package rules

import (
	"testing"
	"time"
)

func TestARuleAsideIsNeitherShownNorCounted(t *testing.T) {
	aside := level("mark", "own", "own2")
	aside.Aside, aside.For = true, 0
	runWorld(t, Options{}, []Threshold{aside, level("x", "a")}, func(w *world) {
		w.put("mark", "own", 11)
		w.put("mark", "own2", 1)
		w.put("x", "a", 1)
		w.after(time.Second)
		if got := w.judge.AlertsOf("own"); len(got) != 1 || got[0].State != Firing {
			t.Errorf("who asks for it is not told: %+v", got)
		}
		if all := w.judge.Alerts(); len(all) != 1 || all[0].Target != "a" || len(w.judge.Unhealthy()) != 0 {
			t.Errorf("shown: %+v, unhealthy %v", all, w.judge.Unhealthy())
		}
		w.after(15 * time.Second)
		// Its silence is no blindness: nobody said that it goes on.
		for range 20 {
			w.put("x", "a", 1)
			w.after(15 * time.Second)
			if blind, why := w.judge.Blind(); blind {
				t.Fatal(why)
			}
		}
		if late := time.Since(w.judge.LastEvaluation().At); late < 0 || late > 15*time.Second {
			t.Errorf("judged %s ago", late)
		}
	})
}
