package remediate

import (
	"strconv"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// notUndone: a change by watchdog that was undone is not repeated (INV-28). The
// controller or person who undid it would do so again, and each round disrupts
// the pods twice.
func notUndone(f Facts, p incident.Plan) incident.Answer {
	if !writesWorkload(p) {
		return besides(p)
	}
	newest, n := map[string]incident.Move{}, 0
	for _, m := range ownMoves(f) {
		// Restart and rollback change the same thing.
		field := m.Field
		if m.Was != "" {
			field = "template"
		}
		newest[m.Object+field] = m
		n++
	}
	for _, m := range newest {
		if !undone(f.Workload, m) {
			continue
		}
		return hold(incident.HandOver, "watchdog changed %s from %s to %s %s ago (op %s), and the change was undone: "+
			"%s; no second attempt within %s. Make the change at that controller's source",
			m.Field, m.From, m.To, max(0, f.Now.Sub(m.At)).Round(time.Second), m.Op, lastWriter(f.Workload, m),
			f.Settings.OwnChange)
	}
	return pass("0 of %d changes by watchdog within %s were undone", n, f.Settings.OwnChange)
}

// ownMoves are watchdog's changes to the workload or its autoscaler within OwnChange, oldest first.
func ownMoves(f Facts) []incident.Move {
	objects := map[string]bool{f.Workload.Target.UID: true}
	if f.Workload.HPA != nil {
		objects[f.Workload.HPA.UID] = true
	}
	var own []incident.Move
	for _, m := range f.Ledger.Moves {
		if objects[m.Object] && f.Now.Sub(m.At) < f.Settings.OwnChange {
			own = append(own, m)
		}
	}
	return own
}

// undone reports whether the field is as it was before the move.
func undone(w Workload, m incident.Move) bool {
	if m.Was != "" {
		return fingerprint(w.Template) == m.Was
	}
	l := leverOf(w)
	return l.field == m.Field && l.object.UID == m.Object && strconv.Itoa(l.value) == m.From
}

// lastWriter names who changed the workload last, watchdog aside.
func lastWriter(w Workload, m incident.Move) string {
	var last Manager
	for _, x := range w.Managers {
		if !machine(x.Name) && (m.Was != "" && x.Template || m.Was == "" && x.Replicas) && x.At.After(last.At) {
			last = x
		}
	}
	if last.Name == "" {
		return "last writer unknown"
	}
	return "last written by " + quote(last.Name)
}
