package responder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// fake is a cluster in memory, in which each request takes a moment.
type fake struct {
	mu      sync.Mutex
	takes   time.Duration
	inc     incident.Incident
	words   incident.ResponderActions
	version int
	lists   int
	patched int
	before  func() // a patch: somebody else's write that comes first
	down    error
	ledger  incident.Ledger
	said    []string // what was written elsewhere
	through bool     // the hold was set through watchdog
	quiet   bool     // nobody holds the object
}

func (f *fake) step() error {
	time.Sleep(f.takes)
	return f.down
}

func (f *fake) Incidents(context.Context) ([]incident.Incident, error) {
	f.mu.Lock()
	f.lists++
	all := append(incidents(), f.inc)
	f.mu.Unlock()
	return all, f.step()
}

func (f *fake) Incident(_ context.Context, id string) (incident.Incident, incident.ResponderActions, string, error) {
	if err := f.step(); err != nil {
		return incident.Incident{}, incident.ResponderActions{}, "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range append([]incident.Incident{f.inc}, incidents()...) {
		if i.ID == id {
			return i, f.words, fmt.Sprint(f.version), nil
		}
	}
	return incident.Incident{}, incident.ResponderActions{}, "", ErrNoIncident
}

func (f *fake) Patch(_ context.Context, _ string, p Patch, version string) error {
	if err := f.step(); err != nil {
		return err
	}
	if f.before != nil {
		f.before()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if version != fmt.Sprint(f.version) {
		return fmt.Errorf("patch: %w", ErrChanged)
	}
	f.version++
	f.patched++
	f.words = f.words.With(p)
	return nil
}

func (f *fake) note(format string, args ...any) error {
	f.said = append(f.said, fmt.Sprintf(format, args...))
	return f.step()
}

func (f *fake) Ledger(context.Context) (incident.Ledger, error) { return f.ledger, f.step() }
func (f *fake) Undo(_ context.Context, op string, by incident.Attribution) error {
	return f.note("undo %s by %s: %s", op, by.By, by.Reason)
}
func (f *fake) Lift(_ context.Context, target, op string) error {
	return f.note("lift %s %s", target, op)
}
func (f *fake) Hold(_ context.Context, o Object, by incident.Attribution) error {
	return f.note("hold %s by %s: %s", o, by.By, by.Reason)
}
func (f *fake) Resume(_ context.Context, o Object, _ incident.Attribution) (bool, error) {
	return !f.quiet, f.note("resume %s", o)
}
func (f *fake) HoldAll(_ context.Context, by incident.Attribution) error {
	return f.note("hold all by %s: %s", by.By, by.Reason)
}
func (f *fake) ResumeAll(context.Context) error { return f.note("resume all") }

// replica is one service over a cluster, with its record.
type replica struct {
	*Service
	broken  error
	records []AuditEvent
	counts  map[string]int
}

func newReplica(c Cluster) *replica {
	r := &replica{counts: map[string]int{}}
	r.Service = New(Options{
		Cluster: c,
		May:     func(context.Context, Person, string) error { return nil },
		Record:  func(e AuditEvent) error { r.records = append(r.records, e); return r.broken },
		Count:   func(_ string, a Action, result string) { r.counts[string(a)+" "+result]++ },
		Now:     func() time.Time { return now },
	})
	return r
}

func results(r *replica) string {
	var all []string
	for _, e := range r.records {
		all = append(all, e.Result)
	}
	return strings.Join(all, " ")
}

// Two replicas, or a replica and a command line: the first has it, and the second is told who.
func TestOfTwoWhoAcknowledgeAtOnceOneHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: 10 * time.Millisecond, inc: incidents()[1]}
		a, b := newReplica(f), newReplica(f)
		var texts [2]string
		var errs [2]error
		var g sync.WaitGroup
		for k, r := range []*replica{a, b} {
			g.Go(func() {
				time.Sleep(time.Duration(k) * time.Millisecond)
				texts[k], errs[k] = r.Do(t.Context(), Person{Name: [2]string{"alice", "bob"}[k]},
					Request{Action: Ack, Incident: "01a2"})
			})
		}
		g.Wait()
		no := (*Refused)(nil)
		if errs[0] != nil || !strings.HasSuffix(texts[0], "yours") || !errors.As(errs[1], &no) ||
			!strings.Contains(no.Reason, "was acknowledged by alice") {
			t.Errorf("%q %v, %q %v", texts[0], errs[0], texts[1], errs[1])
		}
		if f.patched != 1 || f.words.Acked.By != "alice" || results(a) != "applied" ||
			results(b) != "applied overtaken refused" {
			t.Errorf("%d writes, %s; on record %q and %q", f.patched, f.words.Acked.By, results(a), results(b))
		}
	})
}

// The leader writes the incident all the time; that is no reason to refuse anybody.
func TestTheLeaderWritesMeanwhile(t *testing.T) {
	for writes, applied := range map[int]bool{0: true, 1: true, tries - 1: true, tries: false} {
		f := &fake{inc: incidents()[1]}
		left := writes
		f.before = func() {
			if left--; left >= 0 {
				f.version++
			}
		}
		r := newReplica(f)
		_, err := r.Do(t.Context(), Person{Name: "alice"}, Request{Action: Ack, Incident: "01a2"})
		if (err == nil) != applied || (f.patched == 1) != applied {
			t.Errorf("after %d writes of the leader: %v, %d patches", writes, err, f.patched)
		}
		if no := (*Refused)(nil); errors.As(err, &no) {
			t.Errorf("a refusal that nobody can do anything about: %v", err)
		}
	}
}

func TestWithoutTheAPIServerNothingIsApplied(t *testing.T) {
	for _, action := range []Action{Ack, Note, Approve, Deny, Grade, Publish, Hold, Resume, Undo} {
		f := &fake{inc: incidents()[1], down: errors.New("connection refused")}
		r := newReplica(f)
		_, err := r.Do(t.Context(), Person{Name: "alice"}, Request{Action: action, Incident: "01a1", Plan: hash,
			To: incident.P0, Reason: "x"})
		if no := (*Refused)(nil); err == nil || errors.As(err, &no) || r.counts[string(action)+" "+Failed] != 1 ||
			!strings.HasSuffix(results(r), Failed) {
			t.Errorf("%s: %v, %v, %q", action, err, r.counts, results(r))
		}
	}
}

func TestWhatCannotBeRecordedIsNotApplied(t *testing.T) {
	for _, action := range []Action{Ack, Note, Approve, Deny, Grade, Publish, Hold, Resume, Undo} {
		f := &fake{inc: incidents()[1], ledger: leased()}
		r := newReplica(f)
		r.broken = errors.New("disk is full")
		_, err := r.Do(t.Context(), Person{Name: "alice"}, Request{Action: action, Incident: "01a1", Plan: hash,
			To: incident.P0, Reason: "x"})
		if err == nil || !strings.Contains(err.Error(),
			"could not write the audit record; the request was not applied") || f.patched != 0 || len(f.said) != 0 {
			t.Errorf("%s: %v, %d patches, %q", action, err, f.patched, f.said)
		}
	}
}

// leased is a ledger with two changes that can be taken back, and a quarantine.
func leased() incident.Ledger {
	web := incident.Target{Name: "shop", Namespace: "shop", Kind: "deployment", Workload: "web"}
	cart := incident.Target{Name: "cart", Namespace: "shop", Kind: "deployment", Workload: "cart"}
	return incident.Ledger{
		Leases: []incident.Lease{{Op: "op8", Incident: "01a1",
			Plan: incident.Plan{Summary: "scale shop", Target: web}},
			{Op: "op9", Incident: "01c3", Plan: incident.Plan{Summary: "scale cart", Target: cart}}},
		Quarantines: []incident.Quarantine{{Target: web.String(), Op: "op7"}},
	}
}

func TestUndoHoldAndResumeTakeTheSameRoad(t *testing.T) {
	web := Object{Namespace: "shop", Kind: "deployment", Name: "web"}
	for _, tt := range []struct {
		name  string
		r     Request
		quiet bool
		said  string // what is written
		text  string // of the answer or the refusal
	}{
		{"undo of an incident", Request{Action: Undo, Incident: "01a1", Reason: "too much"}, false,
			"undo op8 by alice: too much", "scale shop: the leader will revert it"},
		{"undo of a workload", Request{Action: Undo, Incident: "shop/cart", Reason: "too much"}, false,
			"undo op9 by alice: too much", "scale cart: the leader will revert it"},
		{"undo without a reason", Request{Action: Undo, Incident: "01a1"}, false, "", "a reason is required to undo"},
		{"undo of what means several", Request{Action: Undo, Incident: "0", Reason: "x"}, false,
			"", "give more of the id"},
		{"undo of nothing", Request{Action: Undo, Incident: "zz", Reason: "x"}, false,
			"", "changes with a lease: op8 (scale shop); op9 (scale cart)"},
		{"hold of an object", Request{Action: Hold, Object: web, Reason: "migration"}, false,
			"hold shop/web by alice: migration", "on hold until resumed"},
		{"hold of an incident's workload", Request{Action: Hold, Incident: "01a1"}, false,
			"hold shop/web by alice: requested in incident 01a1", "shop/web: on hold"},
		{"resume of an incident's workload", Request{Action: Resume, Incident: "01a1"}, false,
			"resume shop/web; lift shop/deployment/web op7", "its hold and its quarantine are lifted"},
		{"resume of what is in quarantine only", Request{Action: Resume, Object: web}, true,
			"resume shop/web; lift shop/deployment/web op7", "its quarantine is lifted"},
		{"resume of what is not held", Request{Action: Resume, Object: Object{Namespace: "shop"}}, true, "resume shop",
			"was not on hold"},
		{"hold of everything", Request{Action: Hold, All: true, Reason: "move"}, false, "hold all by alice: move",
			"everything: on hold"},
		{"resume of what nobody holds", Request{Action: Resume, All: true}, false, "", "everything: was not on hold"},
	} {
		i := incidents()[0]
		i.Target = incident.Target{Name: "shop", Namespace: "shop", Kind: "deployment", Workload: "web"}
		f := &fake{inc: i, ledger: leased(), quiet: tt.quiet}
		r := newReplica(listing{f})
		text, err := r.Do(t.Context(), Person{Name: "alice"}, tt.r)
		if err != nil {
			text = err.Error()
		}
		if got := strings.Join(f.said, "; "); got != tt.said || !strings.Contains(text, tt.text) ||
			len(r.records) == 0 && tt.said != "" {
			t.Errorf("%s: wrote %q, said %q (%d records)", tt.name, got, text, len(r.records))
		}
	}
}

// listing lists the one incident of a fake.
type listing struct{ *fake }

func (l listing) Incidents(context.Context) ([]incident.Incident, error) {
	return []incident.Incident{l.inc}, nil
}
