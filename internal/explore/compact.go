package explore

import (
	"strconv"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// opKey is everything of an op that a decision can depend on.
type opKey struct {
	id, target, slot, rung uint8
	phase                  uint8
	before                 uint8 // what the object held when the op was planned
	rv                     uint8 // the write's precondition, while it is being sent
	sends, sent            uint8 // how often sent; 1 + age of the last, 0 if none can be under way
	applied, rolled        uint8 // age; 1 + age, 0 if not rolled out
	evidence               bool
	verdict, hold          uint8
}

// incKey is everything of an incident that a decision can depend on. It leaves
// out prose: timeline texts, reasons, answers, summaries.
type incKey struct {
	target, slot, phase uint8
	seen                bool // the rule's alert is known to it
	lead                bool
	ended, handedOver   bool
	twinEnded, twinLead bool // of the second rule, if there is one; all else of it is the first's
	next, tries         uint8
	firing              bool
	verdict             uint8
	useless             uint8 // ops that were applied and brought nothing
	held                uint8 // 1 + age; 0 if not held
	paged               bool
	nextIn              uint8
	evidence            bool  // taken at this very moment
	last                uint8 // the timeline's last word, as far as the core looks at it
	op                  opKey
}

// ledgerKey is the ledger, with a budget window that does not end.
type ledgerKey struct {
	kill  bool
	ops   [4]opKey // in the order of their reservation; id 0 is none
	spent [8]spentKey
}

type spentKey struct{ op, target uint8 }

// Words of the core as small numbers; 0 is the empty word.
var (
	phases = words(incident.Open, incident.Acting, incident.Verifying, incident.Suppressed, incident.Frozen,
		incident.Escalated, incident.Resolved)
	opPhases = words(incident.Reserving, incident.Intent, incident.Evidenced, incident.Sent, incident.InDoubt,
		incident.Settling, incident.Finished)
	verdicts = words(incident.OK, incident.Breach, incident.NoData)
	results  = words(incident.Helped, incident.NoEffect, incident.Harmed, incident.Unclear, incident.Aborted,
		incident.ByItself)
	holds = words(incident.Wait, incident.Skip, incident.Freeze, incident.Suppress, incident.HandOver,
		incident.Advise)
	effects = words(incident.Consider, incident.Reserve, incident.Capture, incident.Recheck, incident.Act,
		incident.Find, incident.Release)
	outcomes = words(incident.Applied, incident.Conflicted, incident.Denied, incident.Unsent, incident.Unknown)
	lastWord = words(incident.KindHeld, incident.KindFrozen, "other")
)

type vocabulary[T ~string] []T

func words[T ~string](all ...T) vocabulary[T] { return append([]T{""}, all...) }

// code panics on a word that the core did not have when this was written.
func (v vocabulary[T]) code(word T) uint8 {
	for i, w := range v {
		if w == word {
			return uint8(i)
		}
	}
	panic("explore does not know the word " + strconv.Quote(string(word)))
}

// The rules: rule has the ladder; twin fires with it, comes first, and is only told.
const (
	rule = "down"
	twin = "told"
)

// now is the moment of every step; all times are counted from it.
var now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

var targetNames = [maxTargets]string{"shop", "search"}

func targetOf(t uint8) incident.Target {
	return incident.Target{Name: targetNames[t], Namespace: "prod", Kind: "deployment", Workload: targetNames[t],
		UID: "uid-" + targetNames[t]}
}

func incidentID(target, slot uint8) string {
	return targetNames[target] + "-" + strconv.Itoa(int(slot))
}

func number(s string) uint8 {
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		panic(err)
	}
	return uint8(n)
}

func text(n uint8) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

// age returns how many units ago t was, cut off at limit.
func age(t time.Time, limit uint8) uint8 { return uint8(min(now.Sub(t)/unit, time.Duration(limit))) }

func ago(n uint8) time.Time { return now.Add(-time.Duration(n) * unit) }

func (m *machine) packOp(op incident.Op) opKey {
	target, slot := m.place(op.Incident)
	k := opKey{id: number(op.ID), target: target, slot: slot, rung: uint8(op.Rung), phase: opPhases.code(op.Phase)}
	switch op.Phase {
	case incident.Settling:
		k.applied = age(op.AppliedAt, verifyUnits)
		if !op.RolledAt.IsZero() {
			k.rolled = 1 + age(op.RolledAt, verifyUnits)
		}
		return k
	case incident.Finished:
		k.verdict, k.hold = results.code(op.Verdict), holds.code(op.Hold)
		return k
	case incident.Sent:
		k.rv = number(op.Plan.Object.ResourceVersion)
	}
	k.before, k.evidence, k.sends = number(op.Plan.Before), op.Evidence != "", uint8(op.Sends)
	if op.Sends > 0 && !op.SentAt.IsZero() {
		k.sent = 1 + age(op.SentAt, lateUnits)
	}
	return k
}

func (m *machine) unpackOp(k opKey) incident.Op {
	r := m.Ladder[k.rung]
	op := incident.Op{
		ID: text(k.id), Incident: incidentID(k.target, k.slot), Rule: rule, Rung: int(k.rung),
		Plan:  m.plan(k.target, k.rung, k.before, k.rv),
		Phase: opPhases[k.phase], Settle: r.Settle, Verify: r.Verify, ValueThen: 10, ReadyThen: 3, Sends: int(k.sends),
		Verdict: results[k.verdict], Hold: holds[k.hold],
	}
	if k.evidence {
		op.Evidence = "evidence"
	}
	if k.sent > 0 {
		op.SentAt = ago(k.sent - 1)
	}
	if op.Phase == incident.Settling {
		op.AppliedAt = ago(k.applied)
		if k.rolled > 0 {
			op.RolledAt = ago(k.rolled - 1)
		}
	}
	return op
}

// plan is an action on the target: Before stands for what the object held, as
// the field that is changed does in production.
func (m *machine) plan(target, rung, before, rv uint8) incident.Plan {
	r := m.Ladder[rung]
	return incident.Plan{Action: r.Action, Class: r.Class, Target: targetOf(target), Summary: string(r.Action) + " " +
		targetNames[target], Before: text(before),
		Object: incident.Object{Resource: "deployments", Name: targetNames[target], ResourceVersion: text(rv)}}
}

func (m *machine) pack(i incident.Incident, target, slot uint8) incKey {
	k := incKey{target: target, slot: slot, phase: phases.code(i.Phase), lead: i.Lead != "", twinLead: i.Lead == twin,
		paged: i.Paged, handedOver: i.HandedOver}
	if len(i.Alerts) > 0 {
		a := i.Alerts[0]
		k.seen, k.ended, k.next, k.tries, k.firing, k.verdict = true, a.Ended, uint8(a.Next), uint8(a.Tries), a.Firing,
			verdicts.code(a.Verdict)
	}
	if len(i.Alerts) > 1 {
		k.twinEnded = i.Alerts[1].Ended
	}
	for _, a := range i.Attempts {
		if a.Verdict == incident.NoEffect || a.Verdict == incident.Unclear || a.Verdict == incident.Harmed {
			k.useless++
		}
	}
	if !i.HeldSince.IsZero() {
		k.held = 1 + age(i.HeldSince, waitUnits)
	}
	if d := i.NextAt.Sub(now); !i.NextAt.IsZero() && d > 0 {
		k.nextIn = uint8((d + unit - 1) / unit)
	}
	k.evidence = i.Evidence != "" && i.EvidenceAt.Equal(now)
	if n := len(i.Timeline); n > 0 {
		switch kind := i.Timeline[n-1].Kind; kind {
		case incident.KindHeld, incident.KindFrozen:
			k.last = lastWord.code(kind)
		default:
			k.last = lastWord.code("other")
		}
	}
	if i.Op != nil {
		k.op = m.packOp(*i.Op)
	}
	// An incident that is over is over: nothing of it is looked at again.
	if i.Phase == incident.Resolved && i.Op == nil {
		return incKey{target: target, slot: slot, phase: k.phase}
	}
	return k
}

func (m *machine) unpack(k incKey) incident.Incident {
	i := incident.Incident{ID: incidentID(k.target, k.slot), Target: targetOf(k.target), Phase: phases[k.phase],
		Severity: incident.P1, Paged: k.paged, HandedOver: k.handedOver}
	if k.lead {
		i.Lead = rule
	}
	if k.twinLead {
		i.Lead = twin
	}
	if k.seen {
		i.Alerts = m.alerts(k.firing, k.verdict)
		a := &i.Alerts[0]
		a.Next, a.Tries, a.Ended = int(k.next), int(k.tries), k.ended
		if m.Twin {
			i.Alerts[1].Ended = k.twinEnded
		}
	}
	for range k.useless {
		i.Attempts = append(i.Attempts, incident.Attempt{Verdict: incident.NoEffect})
	}
	if k.held > 0 {
		i.HeldSince = ago(k.held - 1)
	}
	if k.nextIn > 0 {
		i.NextAt = now.Add(time.Duration(k.nextIn) * unit)
	}
	if k.evidence {
		i.Evidence, i.EvidenceAt = "evidence", now
	}
	if k.last > 0 {
		i.Timeline = []incident.Entry{{Kind: lastWord[k.last]}}
	}
	if k.op.id != 0 {
		op := m.unpackOp(k.op)
		i.Op = &op
	}
	return i
}

// alerts are the rules' view of a target.
func (m *machine) alerts(firing bool, verdict uint8) []incident.Alert {
	a := m.alert(firing, verdict)
	if !m.Twin {
		return []incident.Alert{a}
	}
	b := a
	b.Rule, b.Severity, b.Ladder = twin, incident.P0, nil
	return []incident.Alert{a, b}
}

func (m *machine) alert(firing bool, verdict uint8) incident.Alert {
	a := incident.Alert{Rule: rule, Severity: incident.P1, Firing: firing, Verdict: verdicts[verdict], Bound: 5,
		Above: true, EvaluatedAt: now, Ladder: m.Ladder}
	if a.Verdict == incident.Breach {
		a.Value = 10
	}
	return a
}

func (m *machine) packLedger(l incident.Ledger) ledgerKey {
	k := ledgerKey{kill: l.Hold != nil}
	for i, op := range l.Ops {
		k.ops[i] = m.packOp(op)
	}
	for i, s := range l.Spent {
		t, _ := m.place(s.Incident)
		k.spent[i] = spentKey{op: number(s.Op), target: t}
	}
	return k
}

func (m *machine) unpackLedger(k ledgerKey) incident.Ledger {
	var l incident.Ledger
	if k.kill {
		l.Hold = &incident.Attribution{By: "somebody"}
	}
	for _, op := range k.ops {
		if op.id != 0 {
			l.Ops = append(l.Ops, m.unpackOp(op))
		}
	}
	for _, s := range k.spent {
		if s.op != 0 {
			t := targetOf(s.target)
			l.Spent = append(l.Spent, incident.Spent{Op: text(s.op), Incident: incidentID(s.target, 0),
				Target: t.String(), Namespace: t.Namespace, At: now, EndedAt: now})
		}
	}
	return l
}

// place reads target and slot from an incident's id.
func (m *machine) place(id string) (target, slot uint8) {
	for t, name := range targetNames {
		if len(id) > len(name) && id[:len(name)] == name && id[len(name)] == '-' {
			return uint8(t), number("0" + id[len(name)+1:])
		}
	}
	panic("no such incident: " + id)
}

// older is the incident one unit later.
func older(k incKey) incKey {
	k.nextIn -= min(1, k.nextIn)
	if k.held > 0 {
		k.held = min(k.held+1, 1+waitUnits)
	}
	k.evidence = false
	if k.op.sent > 0 {
		k.op.sent = min(k.op.sent+1, 1+lateUnits)
	}
	if opPhases[k.op.phase] == incident.Settling {
		k.op.applied = min(k.op.applied+1, verifyUnits)
		if k.op.rolled > 0 {
			k.op.rolled = min(k.op.rolled+1, 1+verifyUnits)
		}
	}
	return k
}
