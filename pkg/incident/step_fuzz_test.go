package incident

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// FuzzStep: whatever happens in whatever order, an incident keeps its promises.
// Half of the events answer what the core asked for, so that ops get far; the
// other half come out of the blue. After each step the incident is stored and
// read again, and the stored one must step exactly as the one in memory.
func FuzzStep(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(seed, []byte{})
	}
	f.Fuzz(func(t *testing.T, seed uint64, b []byte) {
		s := &stepFuzz{t: t, b: b, rest: rand.New(rand.NewPCG(seed, 11)), at: t0, policy: DefaultPolicy(),
			tried: map[string]int{}}
		s.inc = New("i1", target, t0)
		for range 80 {
			s.once()
		}
	})
}

// stepFuzz turns bytes into events and remembers what no step may take back.
type stepFuzz struct {
	t       *testing.T
	b       []byte
	rest    *rand.Rand
	at      time.Time
	policy  Policy
	inc     Incident
	pending []Effect
	ops     int
	steps   int
	last    string         // the incident as it is stored
	tried   map[string]int // finished attempts by rule and rung
}

// byte returns the next byte of the input, and after its end one that follows
// from the seed: short inputs, which the fuzzer prefers, get far too.
func (s *stepFuzz) byte() byte {
	if len(s.b) == 0 {
		return byte(s.rest.Uint32())
	}
	b := s.b[0]
	s.b = s.b[1:]
	return b
}

func pick[T any](s *stepFuzz, of ...T) T { return of[int(s.byte())%len(of)] }

func (s *stepFuzz) once() {
	s.at = s.at.Add(pick(s, 0, time.Millisecond, time.Second, 5*time.Second, 20*time.Second, 71*time.Second,
		11*time.Minute, -time.Hour))
	kind := s.byte()
	switch {
	case kind == 250 && s.inc.Op == nil && s.inc.Phase != Resolved:
		s.inc, s.last = Adopt(s.inc, s.adopted(), s.at), ""
		return
	case kind%2 == 0 && len(s.pending) > 0:
		effect := s.pending[0]
		s.pending = s.pending[1:]
		s.step(s.answer(effect))
	case kind%2 == 0:
		s.step(s.tick())
	default:
		s.step(s.answer(pick(s, Consider, Reserve, Capture, Recheck, Act, Find, Release, "tick")))
	}
}

// adopted is an op as a ledger may hold it after a crash.
func (s *stepFuzz) adopted() Op {
	s.ops++
	return Op{ID: fmt.Sprint("ledger", s.ops), Incident: "i1", Rule: pick(s, "errors", "slow"), Rung: int(s.byte() % 5),
		Phase: pick(s, Intent, Sent, Settling, Finished),
		Plan:  s.plan(), Sends: int(s.byte() % 3), SentAt: s.at, Verify: time.Minute}
}

func (s *stepFuzz) plan() Plan {
	return Plan{Action: pick(s, ActionScale, ActionRestart, ActionRollback), Class: pick(s, C2, C3, C4), Target: target,
		Summary: "do it", Object: Object{UID: "u1", ResourceVersion: "7"}}
}

// tick: rules keep their ladders, and everything else about them changes.
func (s *stepFuzz) tick() Tick {
	e := Tick{At: s.at, Rollout: Rollout{Known: s.byte()%4 != 0, Done: s.byte()%2 == 0, Ready: int(s.byte() % 4)}}
	for _, rule := range []string{"errors", "slow", "down"} {
		if s.byte()%4 == 0 {
			continue
		}
		a := Alert{Rule: rule, Severity: pick(s, P0, P1, P2, P3, ""), Firing: s.byte()%4 != 0,
			Verdict: pick(s, Breach, Breach, Breach, OK, NoData, Stale, Error, Conflict, ""),
			Value:   float64(s.byte()) / 16, Bound: 1, Above: true, Reason: rule,
			ActiveAt:    s.at.Add(-time.Duration(s.byte()) * time.Second),
			EvaluatedAt: s.at.Add(pick(s, 0, -time.Minute)), Ladder: ladder(rule)}
		e.Alerts = append(e.Alerts, a)
	}
	return e
}

func ladder(rule string) []Rung {
	switch rule {
	case "errors":
		return []Rung{{Action: "capture"}, {Action: "rollback", Class: C4, Settle: time.Second, Verify: time.Minute},
			{Action: "page"}}
	case "slow":
		return []Rung{{Action: "scale", Class: C2, Attempts: 3, Verify: time.Minute},
			{Action: "restart", Class: C3, Verify: time.Minute}}
	}
	return nil
}

func (s *stepFuzz) hold() Hold {
	return pick(s, "", "", "", Wait, Skip, Freeze, Suppress, HandOver, Advise, "new")
}

func (s *stepFuzz) answers() []Answer {
	return []Answer{{Guard: "one"}, {Guard: "two"}, {Guard: "three", Hold: Wait, Reason: "later"}}[:s.byte()%4]
}

// answer is one of the events that an effect may come back as.
func (s *stepFuzz) answer(e Effect) Event {
	retry := s.at.Add(pick(s, 0, time.Minute, time.Hour))
	switch e {
	case Consider:
		s.ops++
		return Considered{At: s.at, OpID: fmt.Sprint("op", s.ops), Plan: s.plan(), Ready: int(s.byte() % 4),
			Answers: s.answers(), Hold: s.hold(), Reason: "because", RetryAt: retry}
	case Reserve:
		if s.byte()%4 == 0 {
			return Refused{At: s.at, Answer: Answer{Guard: "budget", Hold: s.hold(), Reason: "used up", RetryAt: retry}}
		}
		return Reserved{At: s.at}
	case Capture:
		return pick[Event](s, Captured{At: s.at, Ref: "evidence/1"}, Captured{At: s.at, Gap: "no logs"},
			Captured{At: s.at})
	case Recheck:
		return Rechecked{At: s.at, Plan: s.plan(), Answers: s.answers(), Hold: s.hold(), Reason: "because",
			RetryAt: retry}
	case Act:
		return Acted{At: s.at, Outcome: pick(s, Applied, Unknown, Conflicted, Denied, Unsent, "new"), Reason: "said so"}
	case Find:
		return Found{At: s.at, Known: s.byte()%4 != 0, Applied: s.byte()%2 == 0}
	case Release:
		return Released{At: s.at}
	}
	return s.tick()
}

func (s *stepFuzz) step(e Event) {
	s.t.Helper()
	s.steps++
	if s.last == "" {
		s.last = s.stored(s.inc)
	}
	next, effects := Step(s.inc, e, s.policy)
	// Encoding is most of the work, so this is not looked at each time.
	if s.steps%8 == 0 && s.stored(s.inc) != s.last {
		s.t.Fatalf("%T changed the incident it was given", e)
	}
	var read Incident
	if err := json.Unmarshal([]byte(s.last), &read); err != nil {
		s.t.Fatal(err)
	}
	again, same := Step(read, e, s.policy)
	after := s.stored(next)
	if got := s.stored(again); got != after || !slices.Equal(same, effects) {
		s.t.Fatalf("%T: in memory\n%s %v\nstored and read\n%s %v", e, after, effects, got, same)
	}
	if _, refused := e.(Refused); refused {
		// Another step from the same incident must not reach into the result of the first.
		Step(read, Refused{At: s.at, Answer: Answer{Guard: "other", Reason: "other"}}, s.policy)
		if got := s.stored(again); got != after {
			s.t.Fatalf("%T: a second step changed the result of the first\nfrom %s\nto   %s", e, after, got)
		}
	}
	s.check(s.inc, next, e, effects)
	s.inc, s.last, s.pending = next, after, append(s.pending, effects...)
}

func (s *stepFuzz) stored(i Incident) string {
	s.t.Helper()
	b, err := json.Marshal(i)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

func (s *stepFuzz) check(was, is Incident, e Event, effects []Effect) {
	s.t.Helper()
	bad := func(format string, args ...any) {
		s.t.Helper()
		s.t.Fatalf("%T: %s\nbefore %s\nafter  %s %v", e, fmt.Sprintf(format, args...), s.stored(was), s.stored(is),
			effects)
	}
	if was.Phase == Resolved && was.Op == nil && (!reflect.DeepEqual(was, is) || len(effects) > 0) {
		bad("a resolved incident goes on")
	}
	if is.Phase == Resolved && is.Op != nil {
		bad("resolved with an op in flight (INV-40)")
	}
	if was.HandedOver && (!is.HandedOver || was.Op == nil && is.Phase != Escalated && is.Phase != Resolved) {
		bad("watchdog takes back what it handed to a person (INV-21)")
	}
	if was.Severity.Worse(is.Severity) {
		bad("the severity fell")
	}
	if len(is.Timeline) > TimelineLimit || is.Dropped < was.Dropped {
		bad("%d lines in the timeline, %d dropped", len(is.Timeline), is.Dropped)
	}
	for _, a := range was.Alerts {
		now, ok := is.Alert(a.Rule)
		if ok && a.Ended && !now.Ended {
			bad("the ladder of %s had ended and goes on (INV-21)", a.Rule)
		}
		if !ok || now.Next < a.Next || now.Next == a.Next && now.Tries < a.Tries || now.Next > len(now.Ladder) {
			bad("the ladder of %s went from %d/%d to %d/%d (INV-21)", a.Rule, a.Next, a.Tries, now.Next, now.Tries)
		}
	}
	s.checkOp(was, is, e, bad)
	s.checkEffects(is, e, effects, bad)
}

func (s *stepFuzz) checkOp(was, is Incident, e Event, bad func(string, ...any)) {
	if len(is.Attempts) < len(was.Attempts) || !slices.Equal(was.Attempts, is.Attempts[:len(was.Attempts)]) {
		bad("attempts were forgotten")
	}
	switch op := was.Op; {
	case op == nil || is.Op != nil && is.Op.ID == op.ID:
	case is.Op != nil:
		bad("op %s became op %s (INV-01)", op.ID, is.Op.ID)
	default:
		_, released := e.(Released)
		_, refused := e.(Refused)
		if !(released && op.Phase == Finished) && !(refused && op.Phase == Reserving) {
			bad("op %s in phase %s is gone (INV-02)", op.ID, op.Phase)
		}
		if released && len(is.Attempts) != len(was.Attempts)+1 {
			bad("op %s left no attempt", op.ID)
		}
		if released && op.Verdict != Aborted {
			key := fmt.Sprint(op.Rule, op.Rung)
			s.tried[key]++
			if l := ladder(op.Rule); op.ID[:2] == "op" && s.tried[key] > s.adoptedTries()+max(1, l[op.Rung].Attempts) {
				bad("rung %d of %s was tried %d times (INV-21)", op.Rung, op.Rule, s.tried[key])
			}
		}
	}
	if op := is.Op; op != nil && op.Sends > s.policy.Sends {
		bad("sent %d times, the limit is %d", op.Sends, s.policy.Sends)
	}
}

// adoptedTries counts the ops that came out of the ledger: the incident did not
// plan them, and cannot be held to their number.
func (s *stepFuzz) adoptedTries() int {
	n := 0
	for _, a := range s.inc.Attempts {
		if a.OpID[:2] != "op" {
			n++
		}
	}
	return n
}

func (s *stepFuzz) checkEffects(is Incident, e Event, effects []Effect, bad func(string, ...any)) {
	for _, effect := range effects {
		switch effect {
		case Act:
			op := is.Op
			if _, asked := e.(Rechecked); !asked || op == nil || op.Phase != Sent {
				bad("sent without a look a moment before (INV-12)")
			}
			if op.Plan.Class >= C3 && op.Evidence == "" {
				bad("C%d is sent without evidence", op.Plan.Class)
			}
		case Consider:
			if lead, _ := is.Alert(is.Lead); lead.Ended || is.HandedOver {
				bad("an action is sought that is a person's (INV-21)")
			}
			if lead, _ := is.Alert(is.Lead); lead.Verdict != Breach {
				bad("an action is sought on the verdict %q (INV-08)", lead.Verdict)
			}
			if n := (&step{i: is}).useless(); n >= s.policy.StopLoss {
				bad("an action is sought after %d that brought nothing (INV-21)", n)
			}
		case Reserve:
			if is.Op == nil || is.Op.Phase != Reserving {
				bad("a reservation without an op to reserve")
			}
		}
	}
}
