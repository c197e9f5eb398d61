package sim

import (
	"hash/fnv"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// requested is the person who is asked to approve a plan. What they do follows from
// the op's id alone, so that stories without approvals stay what they are: most say
// yes within minutes; some say no, take it back, mean another plan or never answer.
func (w *World) requested(i incident.Incident) {
	r := i.Asked
	if r == nil || w.oracle.asked[r.Op] {
		return
	}
	w.oracle.asked[r.Op] = true
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.Op))
	dice := h.Sum32()
	wait := time.Duration(1+dice%150) * time.Second
	say := func(after time.Duration, a incident.Approval) {
		w.clock.after(after, -1, func() {
			a.At = w.clock.now
			w.say("a person answers the request of op %s: denied %t, plan %.12s", r.Op, a.Denied, a.Plan)
			_, version := w.readWords(i.ID)
			w.patch(i.ID, incident.ResponderActions{Approved: map[string]map[string]incident.Approval{r.Op: {a.By: a}}}, version)
			w.oracle.approved[r.Op] = append(w.oracle.approved[r.Op], a)
		})
	}
	yes := incident.Approval{Attribution: incident.Attribution{By: "somebody"}, Plan: r.Plan.Hash}
	if other := yes; r.Quorum > 1 {
		other.By = [...]string{"somebody else", "somebody else", "somebody else",
			"system:serviceaccount:ci:bot", "somebody"}[dice/1500%5]
		say(wait+time.Duration(dice/7500%40)*time.Second, other)
	}
	switch n := dice / 150 % 10; {
	case n < 6:
		say(wait, yes)
	case n == 6:
		say(wait, incident.Approval{Attribution: yes.Attribution, Plan: r.Plan.Hash, Denied: true})
	case n == 7:
		say(wait, incident.Approval{Attribution: yes.Attribution, Plan: "another plan"})
	case n == 8:
		say(wait, yes)
		say(wait+2*time.Second, incident.Approval{Attribution: yes.Attribution, Plan: r.Plan.Hash, Denied: true})
	}
}
