package remediate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestARevisionBecomesGoodByBeingHealthyForLongEnough(t *testing.T) {
	f := facts("rollback")
	w, s, now := f.Workload, f.Settings, f.Now
	var records []Record
	look := func(after time.Duration, healthy, wantChanged bool) Record {
		t.Helper()
		next, changed := Observe(records, w, healthy, now.Add(after), s)
		if changed != wantChanged || !changed && cmp.Diff(records, next) != "" {
			t.Fatalf("after %s: changed is %v: %s", after, changed, cmp.Diff(records, next))
		}
		records = next
		r, _ := record(records, "u-4")
		return r
	}
	look(0, false, true) // three revisions seen
	look(time.Minute, false, false)
	look(2*time.Minute, true, true)
	look(3*time.Minute, true, false)
	if r := look(4*time.Minute, false, true); !r.HealthySince.IsZero() {
		t.Errorf("unhealthy since %s", r.HealthySince)
	}
	look(5*time.Minute, true, true)
	if r := look(15*time.Minute-time.Second, true, false); !r.GoodAt.IsZero() {
		t.Error("good too early")
	}
	if r := look(15*time.Minute, true, true); !r.GoodAt.Equal(now.Add(15 * time.Minute)) {
		t.Errorf("good at %s", r.GoodAt)
	}
	if r := look(16*time.Minute, false, true); r.GoodAt.IsZero() {
		t.Error("a later breach takes away what was proven")
	}
	look(17*time.Minute, true, true)
	// A clock that went back proves nothing.
	if r := look(-time.Hour, true, true); !r.HealthySince.Equal(now.Add(-time.Hour)) {
		t.Errorf("healthy since %s", r.HealthySince)
	}
	if r, _ := record(records, "u-3"); !r.GoodAt.IsZero() || !r.HealthySince.IsZero() {
		t.Errorf("a revision that does not run became good: %+v", r)
	}
}

func TestARolloutInProgressIsNotHealthy(t *testing.T) {
	f := facts("rollback")
	f.Workload.Available = 3
	next, _ := Observe(nil, f.Workload, true, f.Now, f.Settings)
	if r, _ := record(next, "u-4"); !r.HealthySince.IsZero() {
		t.Error("healthy in the middle of a rollout")
	}
}

// F-15: an empty list is no proof that everything is gone.
func TestAReadWithoutRevisionsForgetsNothing(t *testing.T) {
	f := facts("rollback")
	f.Workload.Revisions = nil
	if next, changed := Observe(f.Records, f.Workload, true, f.Now, f.Settings); changed || len(next) != 3 {
		t.Errorf("changed %v to %+v", changed, next)
	}
}

func TestRevisionsThatAreGoneAreForgotten(t *testing.T) {
	f := facts("rollback")
	f.Workload.Revisions = f.Workload.Revisions[:2]
	if next, changed := Observe(f.Records, f.Workload, false, f.Now, f.Settings); !changed || len(next) != 2 {
		t.Errorf("changed %v to %+v", changed, next)
	}
}

// rolledBack is the workload after revision 3 was restored: it now has number 5.
func rolledBack(manager string) Facts {
	f := facts("rollback")
	r := f.Workload.Revisions
	restored := r[1]
	restored.Number = 5
	f.Workload.Revisions = []Revision{restored, r[0], r[2]}
	f.Workload.Template = restored.Template
	f.Workload.Pods = pods(4, "u-3")
	f.Workload.Annotations = map[string]string{OpAnnotation: "op-9"}
	f.Workload.Managers = []Manager{{Name: manager, At: f.Now, Template: true}}
	return f
}

func TestARollbackOfOursIsRemembered(t *testing.T) {
	f := rolledBack("watchdog")
	next, changed := Observe(f.Records, f.Workload, false, f.Now, f.Settings)
	restored, _ := record(next, "u-3")
	left, _ := record(next, "u-4")
	if !changed || restored.RestoredBy != "op op-9" || restored.Number != 5 || !left.RolledBackAt.Equal(f.Now) ||
		f.Records[0].RolledBackAt.Equal(f.Now) {
		t.Errorf("changed %v: restored %+v, left %+v", changed, restored, left)
	}
	if again, changed := Observe(next, f.Workload, false, f.Now.Add(time.Minute), f.Settings); changed {
		t.Errorf("seen twice: %s", cmp.Diff(next, again))
	}
	// INV-33: neither forth again, nor further back.
	f.Records = next
	_, answers := Consider(f)
	if h, reason, _ := Held(answers); h != "handover" {
		t.Errorf("%s: %s", h, reason)
	}
}

func TestARollbackByAPersonIsRememberedButCondemnsNothing(t *testing.T) {
	f := rolledBack("kubectl-rollout")
	next, _ := Observe(f.Records, f.Workload, false, f.Now, f.Settings)
	restored, _ := record(next, "u-3")
	left, _ := record(next, "u-4")
	if restored.RestoredBy != "kubectl-rollout" || !left.RolledBackAt.IsZero() {
		t.Errorf("restored %+v, left %+v", restored, left)
	}
}

func TestARevisionThatProvesItselfAnewIsGoodAgain(t *testing.T) {
	f := facts("rollback")
	f.Records[0].RolledBackAt = f.Now.Add(-time.Hour)
	next, _ := Observe(f.Records, f.Workload, true, f.Now, f.Settings)
	next, _ = Observe(next, f.Workload, true, f.Now.Add(10*time.Minute), f.Settings)
	if r, _ := record(next, "u-4"); !r.RolledBackAt.IsZero() || r.GoodAt.IsZero() {
		t.Errorf("%+v", r)
	}
}

// TestARevisionIsRestoredThoughWhatCameBetweenWasNeverSeen: reads may fail for as
// long as a bad release lives. Its successor is a rollback all the same.
func TestARevisionIsRestoredThoughWhatCameBetweenWasNeverSeen(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	template := json.RawMessage(`{"spec":{"containers":[{"name":"app","image":"app:v1"}]}}`)
	w := Workload{Generation: 3, Observed: 3, Desired: 1, Ready: 1, Updated: 1, Available: 1, Template: template,
		Annotations: map[string]string{OpAnnotation: "op1"},
		Managers:    []Manager{{Name: "watchdog", At: now, Template: true}},
		Revisions:   []Revision{{Number: 4, UID: "rs1", Template: template}, {Number: 3, UID: "rs2"}}}
	next, changed := Observe([]Record{{UID: "rs1", Number: 2, SeenAt: now.Add(-time.Hour),
		GoodAt: now.Add(-time.Hour)}}, w, false, now, Settings{GoodAfter: time.Minute})
	if rec, ok := record(next, "rs1"); !changed || !ok || rec.RestoredBy != "op op1" {
		t.Errorf("changed %t, records %+v", changed, next)
	}
}

// What is settled by what the watches say is what a read of the workload would leave as it is (INV-31).
func TestWhatIsSettledNeedsNoRead_INV31(t *testing.T) {
	f := facts("rollback")
	w, s, now := f.Workload, f.Settings, f.Now
	for i := range w.Pods {
		w.Pods[i].CreatedAt, w.Pods[i].ReadyAt = now.Add(-time.Hour), now.Add(-time.Hour+20*time.Second)
	}
	at := []time.Time{{}, now.Add(-2 * time.Hour), now.Add(-time.Minute), now.Add(time.Minute)}
	settled := 0
	for _, since := range at {
		for _, good := range at {
			for _, back := range at {
				for _, healthy := range []bool{true, false} {
					for _, number := range []int64{0, 3, 4, 5} {
						records, _ := Observe(nil, w, healthy, now.Add(-3*time.Hour), s)
						for i := range records {
							if records[i].UID == "u-4" {
								records[i].HealthySince, records[i].GoodAt, records[i].RolledBackAt = since, good, back
							}
						}
						if !Settled(records, "u-4", number, healthy, now, s) {
							continue
						}
						settled++
						if next, changed := Observe(records, w, healthy, now, s); changed || number != 4 {
							t.Fatalf("settled under number %d, healthy %v, and changed: %s", number, healthy,
								cmp.Diff(records, next))
						}
						if healthy {
							// Nothing changes before it is due.
							due := GoodFrom(records, "u-4", now, s)
							_, early := Observe(records, w, true, due.Add(-time.Second), s)
							_, then := Observe(records, w, true, due, s)
							_, ever := Observe(records, w, true, now.Add(24*time.Hour), s)
							if !due.IsZero() && (early || !then) || due.IsZero() && ever {
								t.Fatalf("due %s: changed before: %v, then: %v; %+v", due, early, then, records)
							}
						}
					}
				}
			}
		}
	}
	if settled < 20 {
		t.Errorf("%d of the cases are settled", settled)
	}
	records, _ := Observe(nil, w, true, now, s)
	if Settled(records, "u-3", 4, true, now, s) || Settled(records, "", 4, true, now, s) ||
		Settled(nil, "u-4", 4, true, now, s) {
		t.Error("another revision has the good name of this one")
	}
}

func TestFewerRecordsKeepWhatARollbackNeeds(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var records []Record
	for n := range int64(9) {
		records = append(records, Record{UID: fmt.Sprint(n + 1), Number: n + 1})
	}
	records[1].GoodAt, records[3].GoodAt, records[8].GoodAt = now, now, now
	records[6].GoodAt, records[6].RolledBackAt = now, now
	for n, want := range map[int]string{1: "9 4", 3: "9 8 7 4", 6: "9 8 7 6 5 4", 20: "9 8 7 6 5 4 3 2 1"} {
		var got []string
		for _, r := range Fewer(map[string][]Record{"a": records}, n)["a"] {
			got = append(got, r.UID)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%d: %s, want %s", n, s, want)
		}
	}
	if got := Fewer(map[string][]Record{"none": nil}, 1)["none"]; len(got) != 0 {
		t.Errorf("none: %v", got)
	}
}
