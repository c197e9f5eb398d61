package outbox

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/incident"
)

var noon = notifytest.T0

// waiting is an item that waits for its first attempt, changed as a case says.
func waiting(change ...func(*item)) item {
	it := item{receiver: "mail", incident: notifytest.Trouble(), waits: true, since: noon}
	for _, c := range change {
		c(&it)
	}
	return it
}

func known(it *item) { it.receipt = incident.Receipt{Ref: "1", State: "firing", At: noon} }
func hushed(it *item) {
	it.incident.Alerts[0].Silenced = "silenced by 0d1a"
}
func maintained(it *item) { it.incident.Maintenance = incident.Maintenance{Window: "w", Held: "w"} }
func triedTwice(it *item) { it.fails, it.doubt, it.notBefore = 2, true, noon.Add(time.Second) }
func ownWish(it *item)    { it.own, it.notBefore = true, noon.Add(time.Second) }
func overNow(it *item)    { it.incident = notifytest.Over(it.incident) }
func inDoubt(it *item)    { it.doubt = true }
func done(it *item)       { it.waits, it.since = false, time.Time{} }
func noted(it *item)      { done(it); it.refused = true }
func atStep(n int) func(*item) {
	return func(it *item) { it.incident.Step = n }
}

// standsInFor is the policy of a fallback before the item of its primary.
func standsInFor(primary item, p policy) policy {
	return policy{primary: func() *side { return &side{&primary, &primary.incident, p} }}
}

func TestWhatIsDoneWithAnItem(t *testing.T) {
	seen := map[reason]bool{}
	longAgo := func(it *item) { it.since = noon.Add(-fallbackAfter) }
	absent := func() *side { return nil }
	chain := func(first item) policy { return standsInFor(waiting(), standsInFor(first, policy{})) }
	for _, tt := range []struct {
		name   string
		it     item
		p      policy
		verb   verb
		reason reason
		after  time.Duration // of later: when it is asked again
	}{
		{"an incident goes to a receiver of people", waiting(), policy{}, send, firstTime, 0},
		{"the canary's own receiver does not hear of it", waiting(), policy{canary: true}, drop, notItsCanary, 0},
		{"the canary goes to its own receiver", waiting(func(it *item) { it.incident.Target.Name = incident.Canary }),
			policy{canary: true}, send, firstTime, 0},
		{"the canary goes to nobody else", waiting(func(it *item) { it.incident.Target.Name = incident.Canary }),
			policy{}, drop, notItsCanary, 0},
		{"another replica leads", waiting(known), policy{yielded: true}, drop, anotherLeads, 0},
		{"the queue is full and this is the least urgent", waiting(), policy{crowded: true}, drop, queueFull, 0},
		{"this state was refused for good", waiting(noted), policy{}, drop, wasRefused, 0},
		{"this state was told", waiting(known, done), policy{}, leave, upToDate, 0},
		{"the breaker is open", waiting(), policy{quiet: noon.Add(time.Minute)}, later, leftAlone, time.Minute},
		{"the breaker was open until now", waiting(), policy{quiet: noon}, send, firstTime, 0},
		{"the breaker counts for what was told before, too", waiting(known), policy{quiet: noon.Add(1)}, later,
			leftAlone, 1},
		{"the receiver delays it", waiting(ownWish), policy{}, later, ownWait, time.Second},
		{"an attempt failed a moment ago", waiting(triedTwice), policy{}, later, backsOff, time.Second},
		{"an attempt failed, and its pause is over", waiting(triedTwice, func(it *item) { it.notBefore = noon }),
			policy{}, send, firstTime, 0},
		{"a silence is no reason to leave out the end of what was told", waiting(known, hushed), policy{}, send,
			keptUpToDate, 0},
		{"another replica told it, as the incident's receipt says", waiting(hushed, func(it *item) {
			it.incident.Receipts = map[string]incident.Receipt{"mail": {State: "firing", At: noon}}
		}), policy{}, send, keptUpToDate, 0},
		{"the target is in maintenance", waiting(maintained), policy{}, leave, inMaintenance, 0},
		{"maintenance is no reason to leave out what was told before", waiting(maintained, known), policy{}, send,
			keptUpToDate, 0},
		{"all firing alerts are silenced", waiting(hushed), policy{}, leave, silenced, 0},
		{"it is silenced, and the target in maintenance as well", waiting(hushed, maintained), policy{}, leave,
			silenced, 0},
		{"a fallback is told of nothing that is silenced", waiting(hushed), policy{primary: absent}, leave, silenced, 0},
		{"it may have arrived, and it is over", waiting(inDoubt, overNow), policy{}, send, mayHaveArrived, 0},
		{"it may have arrived, and the primary took it: the fallback's page ends, too", waiting(inDoubt, overNow),
			standsInFor(waiting(known), policy{}), send, mayHaveArrived, 0},
		{"it may have arrived, and it is over before the step", waiting(inDoubt, overNow),
			policy{step: 1, named: true}, send, mayHaveArrived, 0},
		{"it may have arrived, and it is not over: the primary took it", waiting(inDoubt),
			standsInFor(waiting(known, done), policy{}), leave, primaryHasIt, 0},
		{"its step has not come", waiting(), policy{step: 1, named: true}, leave, stepNotReached, 0},
		{"its step has not come, and it was told before the severity changed", waiting(known),
			policy{step: 1, named: true}, send, keptUpToDate, 0},
		{"its step has come", waiting(atStep(1)), policy{step: 1, named: true}, send, stepReached, 0},
		{"its step is the first", waiting(), policy{named: true}, send, stepReached, 0},
		{"a fallback whose step has come does not look at its primary", waiting(atStep(1)),
			policy{step: 1, named: true, primary: func() *side { panic("it is asked for") }}, send, stepReached, 0},
		{"the primary is not configured", waiting(), policy{primary: absent}, send, primaryAbsent, 0},
		{"the primary took it", waiting(), standsInFor(waiting(known, done), policy{}), leave, primaryHasIt, 0},
		{"the primary took it, and its thread waits", waiting(),
			standsInFor(waiting(known, func(it *item) { it.since = time.Time{} }), policy{}), leave, primaryHasIt, 0},
		{"the primary took it, and the fallback was told before", waiting(known),
			standsInFor(waiting(known, done), policy{}), send, keptUpToDate, 0},
		{"the primary refused it", waiting(), standsInFor(waiting(noted), policy{}), send, primaryRefused, 0},
		{"the primary may still take it", waiting(), standsInFor(waiting(), policy{}), later, primaryMayTake,
			fallbackAfter},
		{"the primary may still take it, and the fallback's step has not come", waiting(), func() policy {
			p := standsInFor(waiting(), policy{})
			p.step, p.named = 1, true
			return p
		}(), later, primaryMayTake, fallbackAfter},
		{"the primary fails for long enough, before the fallback's step", waiting(), func() policy {
			p := standsInFor(waiting(longAgo), policy{})
			p.step, p.named = 1, true
			return p
		}(), send, primaryFails, 0},
		{"the primary fails for long enough", waiting(), standsInFor(waiting(longAgo), policy{}), send, primaryFails,
			0},
		{"of a chain, the first took it", waiting(), chain(waiting(known, done)), leave, primaryHasIt, 0},
		{"of a chain, the first may still take it: the second's time has not begun", waiting(), chain(waiting()), later,
			primaryMayTake, 2 * fallbackAfter},
		{"of a chain, the first refused it, and the second may still take it", waiting(), chain(waiting(noted)), later,
			primaryMayTake, fallbackAfter},
		{"of a chain, a step names the second: it is to be told itself", waiting(),
			standsInFor(waiting(longAgo), func() policy {
				p := standsInFor(waiting(known, done), policy{})
				p.named = true
				return p
			}()), send, primaryFails, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := decide(&tt.it, tt.p, noon)
			want := decision{verb: tt.verb, reason: tt.reason, doubt: tt.verb == send && tt.it.doubt}
			if tt.verb == later {
				want.at = noon.Add(tt.after)
			}
			if d != want {
				t.Errorf("%s, because %s, at %s, in doubt %v; want %s, because %s, at %s", d.verb, d.reason, d.at,
					d.doubt, want.verb, want.reason, want.at)
			}
			seen[tt.reason] = true
		})
	}
	for _, r := range reasons(t) {
		if !seen[r] {
			t.Errorf("no case ends with %q", r)
		}
	}
}

// reasons are the constants of that type in decide.go.
func reasons(t *testing.T) []reason {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "decide.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []reason
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if of, ok := v.Type.(*ast.Ident); ok && of.Name == "reason" {
				text := v.Values[0].(*ast.BasicLit).Value
				all = append(all, reason(text[1:len(text)-1]))
			}
		}
		return true
	})
	if len(all) < 10 {
		t.Fatalf("%d reasons found", len(all))
	}
	return all
}

// The order in which what is due is tried.
func TestWhatIsTriedFirst(t *testing.T) {
	of := func(s incident.Severity, fails int) item {
		return item{incident: incident.Incident{Severity: s}, fails: fails}
	}
	for _, tt := range []struct {
		name        string
		first, then item
	}{
		{"what is worse", of(incident.P0, 0), of(incident.P1, 0)},
		{"what was tried less, although it is less grave", of(incident.P3, 1), of(incident.P0, 2)},
	} {
		if !tt.first.before(&tt.then) || tt.then.before(&tt.first) {
			t.Error(tt.name)
		}
	}
	if a := of(incident.P1, 0); a.before(&a) {
		t.Error("of what is alike, the older one is first, by its place in the queue")
	}
}
