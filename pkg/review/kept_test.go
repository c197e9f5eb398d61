package review

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
)

func complete() Notes {
	return Notes{RootCause: "x", Impact: "y", ActionItems: []Action{{What: "z", Owner: "bob", Due: "2026-04-01"},
		{What: "w", Owner: "eve", Due: "2026-05-01"}}}
}

func TestAReviewOfAP0OrP1IsClosedOnlyComplete(t *testing.T) {
	minor := rolledBack()
	minor.Severity = incident.P2
	for _, tc := range []struct {
		name  string
		of    incident.Incident
		notes Notes
		says  []string // what the refusal names; nil: it is closed
	}{
		{"complete", rolledBack(), complete(), nil},
		{"nothing was found out", rolledBack(), Notes{}, []string{"root cause analysis", "impact assessment",
			"action items for prevention"}},
		{"nobody does it", rolledBack(), Notes{RootCause: "x", Impact: "y",
			ActionItems: []Action{{What: "z", Due: "2026-04-01"}}}, []string{`action item "z"`}},
		{"not over", unanswered(), complete(), []string{"is not resolved"}},
		{"a P2 needs nothing", minor, Notes{}, nil},
	} {
		kept, err := Of(tc.of, tc.notes, later).Close("anna", at(500))
		if (err == nil) != (tc.says == nil) {
			t.Errorf("%s: %v", tc.name, err)
		}
		for _, s := range tc.says {
			if err != nil && !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not name %q", tc.name, err, s)
			}
		}
		if err == nil && (kept.Closed.By != "anna" || !kept.Ended.Equal(tc.of.ResolvedAt)) {
			t.Errorf("%s: %+v", tc.name, kept)
		}
	}
	var missing *Incomplete
	if _, err := Of(rolledBack(), Notes{}, later).Close("", at(0)); !errors.As(err, &missing) ||
		len(missing.Missing) != 3 {
		t.Errorf("%v", err)
	}
}

func TestWhatIsKeptGivesTheSameReview(t *testing.T) {
	r := Of(rolledBack(), complete(), later)
	kept, err := r.Close("anna", at(500))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode("x", text)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, Of(rolledBack(), again.Notes, later)); d != "" {
		t.Error(d)
	}
	if k, err := Decode("x", nil); k != nil || err != nil {
		t.Errorf("of nothing: %v, %v", k, err)
	}
	if _, err := Decode("x", json.RawMessage(`[]`)); err == nil {
		t.Error("a list is no review")
	}
}

func TestActionItemsAreTickedOnce(t *testing.T) {
	k := Kept{Notes: complete()}
	for _, tc := range []struct {
		n    int
		says string
	}{{0, "action item 0 not found"}, {3, "has 2"}, {2, ""}, {2, "already done"}} {
		if err := k.Tick(tc.n); (err == nil) != (tc.says == "") || err != nil &&
			!strings.Contains(err.Error(), tc.says) {
			t.Errorf("%d: %v", tc.n, err)
		}
	}
	if k.ActionItems[0].Done || !k.ActionItems[1].Done {
		t.Errorf("%+v", k.ActionItems)
	}
}

func TestHowAReviewStands(t *testing.T) {
	i := rolledBack()
	minor := i
	minor.Severity = incident.P2
	open := unanswered()
	kept := &Kept{Notes: complete(), Severity: incident.P1, Ended: i.ResolvedAt, Title: "t"}
	day := func(s string) time.Time {
		t, _ := time.Parse(time.DateOnly, s)
		return t
	}
	for _, tc := range []struct {
		name  string
		i     *incident.Incident
		k     *Kept
		now   time.Time
		state string // "": nobody asks
		todo  int
		late  int
	}{
		{"just over", &i, nil, i.ResolvedAt, Open, 0, 0},
		{"at its due time", &i, nil, later(i.ResolvedAt), Open, 0, 0},
		{"a second later", &i, nil, later(i.ResolvedAt).Add(time.Second), Overdue, 0, 0},
		{"still open", &open, nil, i.ResolvedAt, "", 0, 0},
		{"a P2", &minor, nil, day("2027-01-01"), "", 0, 0},
		{"a P2 that was reviewed", &minor, kept, day("2026-03-02"), Closed, 2, 0},
		{"on an item's day", &i, kept, day("2026-04-01").Add(23 * time.Hour), Closed, 2, 0},
		{"the day after", &i, kept, day("2026-04-02"), Closed, 2, 1},
		{"the incident is gone", nil, kept, day("2026-06-01"), Closed, 2, 2},
	} {
		l, asked := Stand("01", tc.i, tc.k, later, tc.now)
		if asked != (tc.state != "") || l.State != tc.state && asked || len(l.Items) != tc.todo || l.Late != tc.late {
			t.Errorf("%s: %v %+v", tc.name, asked, l)
		}
	}
	all := []Line{{ID: "a", State: Closed}, {ID: "b", State: Open, Due: at(9)}, {ID: "c", State: Open, Due: at(3)},
		{ID: "d", State: Overdue}}
	Sort(all)
	if got := all[0].ID + all[1].ID + all[2].ID + all[3].ID; got != "dcba" {
		t.Error(got)
	}
}

func TestWhatChangedBefore(t *testing.T) {
	i := rolledBack()
	began := Of(i, Notes{}, nil).Marks[0].At
	ago := func(d time.Duration) time.Time { return began.Add(-d) }
	old := Revision{Number: 6, SeenAt: ago(48 * time.Hour), GoodAt: ago(47 * time.Hour),
		Images: []string{"shop:1", "proxy:3"}}
	bad := Revision{Number: 7, SeenAt: ago(46 * time.Second), RolledBackAt: at(95),
		Images: []string{"shop:2", "proxy:3"}}
	for _, tc := range []struct {
		name string
		all  []Revision
		says []string
	}{
		{"nothing is known", nil, nil},
		{"a release just before", []Revision{old, bad}, []string{"Revision 7 was in use", "46s before the incident began",
			"watchdog rolled back revision 7", "Last good revision before it: 6", "Images: shop:1 became shop:2"}},
		{"only the old one", []Revision{old}, []string{"Revision 6 was in use",
			"48h0m0s before the incident began; it was known to be good", "No earlier good revision is known"}},
		{"one that came later", []Revision{old, {Number: 8, SeenAt: at(9999)}}, []string{"Revision 6 was in use"}},
		{"the same images", []Revision{old, {Number: 7, SeenAt: ago(time.Minute), Images: old.Images}},
			[]string{"Images: the same"}},
		{"images that are not known any more", []Revision{old, {Number: 7, SeenAt: ago(time.Minute)}},
			[]string{"Last good revision before it: 6"}},
	} {
		r := Of(i, Notes{}, nil)
		r.Remember(tc.all)
		text := strings.Join(r.Before, "\n")
		for _, s := range tc.says {
			if !strings.Contains(text, s) {
				t.Errorf("%s: %q is not in\n%s", tc.name, s, text)
			}
		}
		if tc.says == nil && text != "" {
			t.Errorf("%s: %s", tc.name, text)
		}
	}
}
