package incident

import (
	"strings"
	"testing"
)

// X97, A4: "page is the next rung of the ladder of errors" was all that a page said; what helps stood
// in the thread only.
func TestAPageSaysFirstWhatHelps_X97(t *testing.T) {
	owner := "Argo CD application shop owns the workload and would undo a rollback; instead: change it in Git, or " +
		"`argocd app rollback`"
	for _, tt := range []struct {
		name    string
		ladder  []Action
		answers []Considered
		want    string
	}{
		{"the last rung was left out", []Action{"restart", "rollback", "page"},
			[]Considered{{Hold: Skip, Reason: "restart: it does not help here"},
				{Hold: Skip, Reason: owner, Plan: Plan{Summary: "roll back shop"}}}, owner +
				" (not done: roll back shop); page is the next rung of the ladder of errors"},
		{"no rung is left", []Action{"rollback"}, []Considered{{Hold: Skip, Reason: owner}}, owner +
			"; the ladder of errors is exhausted after 1 rungs"},
		{"there was nothing to leave out", []Action{"page"}, nil, "page is the next rung of the ladder of errors"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := breach("errors", P1, 5, tt.ladder...)
			a.EvaluatedAt = t0
			i, _ := Step(New("i1", target, t0), Tick{At: t0, Alerts: []Alert{a}}, DefaultPolicy())
			for _, c := range tt.answers {
				c.At = t0
				i, _ = Step(i, c, DefaultPolicy())
			}
			i, _ = Step(i, Tick{At: t0, Alerts: []Alert{a}}, DefaultPolicy())
			if !i.Paged || i.PageReason != tt.want {
				t.Errorf("%v: %s\nwant %s", i.Paged, i.PageReason, tt.want)
			}
		})
	}
	i := New("i1", target, t0)
	i.Attempts = []Attempt{{Rule: "errors", Summary: "restart shop", Verdict: NoEffect}}
	a := breach("errors", P1, 5, "page")
	a.EvaluatedAt = t0
	if i, _ = Step(i, Tick{At: t0, Alerts: []Alert{a}}, DefaultPolicy()); !strings.HasPrefix(i.PageReason,
		"restart shop: no effect; ") {
		t.Errorf("%s", i.PageReason)
	}
}
