package incident

import (
	"fmt"
	"hash/fnv"
	"time"
)

// checkMinInterval keeps the starts of disruptive ops apart (INV-24). The jitter
// follows from the op, so that asking again gives the same answer.
func (l Ledger) checkMinInterval(op Op, now time.Time, least time.Duration) Answer {
	if least <= 0 || op.Plan.Class < C3 {
		return Answer{Guard: "min interval", Reason: fmt.Sprintf("applies to class C3 and above; %s is C%d", op.Plan.Action,
			op.Plan.Class)}
	}
	h := fnv.New32a()
	h.Write([]byte(op.Plan.Target.String()))
	need := least + time.Duration(h.Sum32()%512)*least/1024
	last := time.Time{}
	for _, s := range l.Spent {
		if s.Op != op.ID && s.Class >= C3 && s.At.After(last) {
			last = s.At
		}
	}
	a := Answer{Guard: "min interval", Reason: fmt.Sprintf("no other disruptive op began within %s",
		need.Round(time.Second))}
	if since := now.Sub(last); !last.IsZero() && since < need {
		a.Hold, a.RetryAt = Wait, last.Add(need)
		a.Reason = fmt.Sprintf("another disruptive op began %s ago; the minimum interval is %s",
			since.Round(time.Second), need.Round(time.Second))
	}
	return a
}
