package review

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
)

var update = flag.Bool("update", false, "write the golden files")

var t0 = time.Date(2026, 3, 6, 1, 15, 0, 0, time.UTC) // a Friday

func at(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }

func later(end time.Time) time.Time { return end.Add(7 * 24 * time.Hour) }

var cart = incident.Target{Name: "cart", Namespace: "shop", Kind: "deployment", Workload: "cart"}

// rolledBack is a bad release that was rolled back, with somebody looking on.
func rolledBack() incident.Incident {
	return incident.Incident{
		ID: "01aaa", Target: cart, Phase: incident.Resolved, Severity: incident.P1, Lead: "error_rate",
		OpenedAt: at(60), ResolvedAt: at(400), Paged: true,
		Alerts: []incident.Alert{{Rule: "error_rate", Severity: incident.P1, Was: "12% of 340 requests failed",
			Bound: 0.01, Above: true, Unit: "ratio", Recent: []float64{0.12, 0.31, 0.2}, Usual: 0.001,
			ActiveAt: at(0)}},
		Attempts: []incident.Attempt{{OpID: "o1", Rule: "error_rate", Action: "rollback",
			Summary: "roll back shop/deployment/cart from revision 4 to 3", At: at(90), EndedAt: at(300),
			Verdict: incident.Helped, Reason: "0.31 → 0.002"}},
		Acked: incident.Attribution{By: "alice", Reason: "looking", At: at(120)},
		Timeline: []incident.Entry{{At: at(60), Kind: "firing", Text: "error_rate: 12% of 340 requests failed"},
			{At: at(62), Kind: "held", Text: "not done: roll back: rollout: in progress, 2 of 4 are updated"},
			{At: at(90), Kind: "planned", Text: "roll back"}, {At: at(92), Kind: "acted",
				Text: "roll back"}, {At: at(100), Kind: "paged", Text: "held for 10m"},
			{At: at(120), Kind: "acknowledged", Text: "by alice: looking"},
			{At: at(300), Kind: "verdict", Text: "rollback: helped"},
			{At: at(400), Kind: "resolved", Text: "no rule is firing"}},
		Receipts: map[string]incident.Receipt{"slack": {State: "resolved", At: at(401)},
			"pagerduty": {State: "resolved", At: at(402)}},
	}
}

// unanswered is an outage that nobody has answered so far, told in words that try
// to be more than words.
func unanswered() incident.Incident {
	i := incident.Incident{
		ID: "01bbb", Target: cart, Phase: incident.Escalated, Severity: incident.P0, Lead: "health", OpenedAt: at(0),
		UpdatedAt: at(3600), Paged: true, PageReason: "the ladder reached page", Unanswered: 3, Dropped: 40,
		Alerts: []incident.Alert{{Rule: "health", Severity: incident.P0, Firing: true, Source: "alertmanager",
			Reason: "<script>alert(1)</script> | [x](http://evil) `a` *b* <!channel>\n# no\x1b[31m"}},
		Answers: []incident.Answer{{Guard: "hold", Hold: incident.Suppress, Reason: "a_b | c\nd"},
			{Guard: "mode", Reason: "auto"}},
		Receipts: map[string]incident.Receipt{"slack": {Error: "tell Slack: <nil>"}},
	}
	for k := range 14 {
		i.Timeline = append(i.Timeline, incident.Entry{At: at(k * 60), Kind: "held", Text: "| a | b |\n- c <b>" +
			strings.Repeat("x", k)})
	}
	return i
}

// own is an incident of watchdog itself that ended before anybody was asked.
func own() incident.Incident {
	return incident.Incident{ID: "01ccc", Target: incident.Target{Name: incident.Self}, Phase: incident.Resolved,
		Severity: incident.P2, Lead: "storm", OpenedAt: at(0), ResolvedAt: at(20),
		Alerts: []incident.Alert{{Rule: "storm", Severity: incident.P2, Was: "8 of 10 targets are in breach"}},
		Timeline: []incident.Entry{{At: at(0), Kind: "firing", Text: "storm"},
			{At: at(20), Kind: "resolved", Text: "over"}}}
}

func picture() *Picture {
	p := &Picture{Name: `errors{target="cart"} > <b>`, Bound: 0.01}
	for k := range 60 {
		if k > 20 && k < 24 {
			continue // nothing was measured
		}
		v := 0.001
		if k > 6 && k < 45 {
			v = 0.05 + 0.26*math.Sin(float64(k-6)/12.5)
		}
		p.Points = append(p.Points, Point{at(k*10 - 60), math.Max(0.001, v)})
	}
	return p
}

func TestReviews(t *testing.T) {
	for _, tc := range []struct {
		name    string
		of      incident.Incident
		notes   Notes
		picture *Picture
	}{
		{"rolled-back", rolledBack(), Notes{RootCause: "The release of 01:14 dropped an index.\nTests did not see it.",
			Impact: "12 to 31 % of requests failed for 5 minutes", Lessons: "-",
			ActionItems: []Action{{"test migrations on a copy", "bob", "2026-03-20", false},
				{"alert on slow queries", "alice", "2026-03-13", true}}}, picture()},
		{"unanswered", unanswered(), Notes{}, nil},
		{"own", own(), Notes{}, nil},
	} {
		for ext, write := range map[string]func(Review, *bytes.Buffer) error{".md": func(r Review,
			b *bytes.Buffer) error {
			return r.Markdown(b)
		},
			".html": func(r Review, b *bytes.Buffer) error { return r.HTML(b) }} {
			var b, again bytes.Buffer
			for _, to := range []*bytes.Buffer{&b, &again} {
				r := Of(tc.of, tc.notes, later)
				r.Picture = tc.picture
				if tc.name == "rolled-back" {
					began := r.Marks[0].At
					r.Remember([]Revision{{Number: 3, SeenAt: began.Add(-48 * time.Hour),
						GoodAt: began.Add(-47 * time.Hour), Images: []string{"registry.example/cart:1.4.0"}},
						{Number: 4, SeenAt: began.Add(-46 * time.Second), RolledBackAt: at(95),
							Images: []string{"registry.example/cart:1.5.0 <b>"}}})
				}
				if err := write(r, to); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(b.Bytes(), again.Bytes()) {
				t.Errorf("%s%s differs from itself", tc.name, ext)
			}
			golden := filepath.Join("testdata", tc.name+ext)
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), b.String()); d != "" {
				t.Errorf("%s (-update writes it anew):\n%s", golden, d)
			}
		}
	}
}

// Foreign text is text, wherever it stands.
func TestForeignTextIsLiteral(t *testing.T) {
	r := Of(unanswered(), Notes{}, nil)
	var md, page bytes.Buffer
	if err := r.Markdown(&md); err != nil {
		t.Fatal(err)
	}
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>", "[x](http", "<b>", " <!channel", "\x1b", "\n# no", "\n- c"} {
		if strings.Contains(md.String(), bad) {
			t.Errorf("the Markdown has %q", bad)
		}
	}
	for _, bad := range []string{"<script>", "<b>x", "<!channel"} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("the HTML has %q", bad)
		}
	}
}

// Every moment that names a row names one that is there and has its time.
func TestEveryTimeHasItsRow(t *testing.T) {
	for _, i := range []incident.Incident{rolledBack(), unanswered(), own()} {
		r := Of(i, Notes{}, later)
		for _, m := range r.Marks {
			k := slices.IndexFunc(r.Rows, func(x Row) bool { return x.N == m.Row })
			if m.Row != 0 && (k < 0 || !r.Rows[k].At.Equal(m.At)) {
				t.Errorf("%s: %+v", i.ID, m)
			}
		}
		if last := r.Rows[len(r.Rows)-1].N; last != len(i.Timeline)+i.Dropped {
			t.Errorf("%s: the last row is %d", i.ID, last)
		}
	}
	r := Of(rolledBack(), Notes{}, later)
	want := map[string]time.Duration{"detected": time.Minute, "first action": 92 * time.Second,
		"paged": 100 * time.Second, "acknowledged": 2 * time.Minute, "mitigated": 92 * time.Second,
		"recovered": 400 * time.Second}
	for _, m := range r.Marks {
		if m.After != want[m.Name] {
			t.Errorf("%s after %s, want %s", m.Name, m.After, want[m.Name])
		}
	}
}

func TestWhatIsMissing(t *testing.T) {
	full := Notes{RootCause: "x", Impact: "y", ActionItems: []Action{{What: "z", Owner: "bob", Due: "2026-04-01"}}}
	for _, tc := range []struct {
		name    string
		of      incident.Incident
		change  func(*Notes)
		missing int
	}{
		{"complete", rolledBack(), func(*Notes) {}, 0},
		{"no cause", rolledBack(), func(n *Notes) { n.RootCause = "" }, 1},
		{"no impact", rolledBack(), func(n *Notes) { n.Impact = "" }, 1},
		{"no action", rolledBack(), func(n *Notes) { n.ActionItems = nil }, 1},
		{"nobody does it", rolledBack(), func(n *Notes) { n.ActionItems = []Action{{What: "z", Due: "2026-04-01"}} },
			1},
		{"no day", rolledBack(), func(n *Notes) { n.ActionItems = []Action{{What: "z", Owner: "bob", Due: "soon"}} },
			1},
		{"not over", unanswered(), func(*Notes) {}, 1},
	} {
		n := full
		tc.change(&n)
		if m := Of(tc.of, n, later).Missing(); len(m) != tc.missing {
			t.Errorf("%s: %q", tc.name, m)
		}
	}
	if r := Of(own(), full, later); r.Required() || !r.Due.IsZero() {
		t.Error("a P2 needs no review")
	}
}

// The picture is well-formed for any signal.
func TestPictures(t *testing.T) {
	r := Of(rolledBack(), Notes{}, nil)
	for _, p := range []*Picture{picture(), {Bound: math.NaN(), Points: []Point{{at(0), 0}, {at(500), 0}}},
		{Bound: 5, Points: []Point{{at(0), -3}, {at(0), -3}}},
		{Bound: math.NaN(), Points: []Point{{at(0), 1e300}, {at(1), -1e300}}}} {
		r.Picture = p
		svg := string(r.SVG())
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s", svg)
		}
		if err := xml.Unmarshal([]byte(svg), new(struct{})); err != nil {
			t.Errorf("%v: %s", err, svg)
		}
	}
	for _, p := range []*Picture{nil, {}, {Points: []Point{{at(0), 1}}}} {
		if r.Picture = p; r.SVG() != "" {
			t.Error("a picture of nothing")
		}
	}
}

func TestNamesInAPictureHideNeitherOneAnotherNorTheSignal(t *testing.T) {
	r := Of(rolledBack(), Notes{}, nil)
	x := func(at time.Time) float64 { return at.Sub(r.Marks[0].At).Seconds() }
	all, rows := r.labels(at(-100), at(1000), x)
	if len(all) != len(r.Marks) || rows < 2 {
		t.Fatalf("%d names in %d rows", len(all), rows)
	}
	for k, a := range all {
		for _, b := range all[:k] {
			if a.row == b.row && a.x < b.x+7*float64(len(b.Name)) && b.x < a.x+7*float64(len(a.Name)) {
				t.Errorf("%s and %s are on one another", a.Name, b.Name)
			}
		}
	}
}

func TestAxesHaveRoundSteps(t *testing.T) {
	for span, want := range map[float64]float64{0.34: 0.1, 1: 0.2, 5: 1, 12: 2.5, 1000: 200, 0.002: 0.0005} {
		if got := nice(span); math.Abs(got-want) > want/1e6 {
			t.Errorf("%v: %v, want %v", span, got, want)
		}
	}
	for d, want := range map[time.Duration]time.Duration{10 * time.Minute: 2 * time.Minute,
		time.Minute: 15 * time.Second, 30 * 24 * time.Hour: 5 * 24 * time.Hour} {
		if got := stepOf(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

// The quick reference of the configuration stands at the end, if it was given, and
// no address breaks out of its link.
func TestTheQuickReferenceStandsAtTheEnd(t *testing.T) {
	r := Review{ID: "01a", Contacts: []string{"DevOps lead: +49 30 1234567, <b>x</b>"},
		Links: []Link{{"dash|board", "https://grafana.example.com/d/shop> [x](https://evil.example)"}}}
	var md, page strings.Builder
	if err := errors.Join(r.Markdown(&md), r.HTML(&page)); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"## Quick reference\n- DevOps lead: +49 30 1234567, \\<b\\>x\\</b\\>\n",
		"- dash\\|board: <https://grafana.example.com/d/shop[x](https://evil.example)>\n"} {
		if !strings.Contains(md.String(), part) {
			t.Errorf("Markdown lacks %q:\n%s", part, md.String())
		}
	}
	for _, part := range []string{"<h2>Quick reference</h2>", "&lt;b&gt;x&lt;/b&gt;",
		`<a href="https://grafana.example.com/d/shop%3e`, `">dash|board</a>`} {
		if !strings.Contains(page.String(), part) {
			t.Errorf("HTML lacks %q", part)
		}
	}
	if err := (Review{ID: "01a"}).Markdown(&md); err != nil || strings.Count(md.String(), "Quick reference") != 1 {
		t.Error("a heading without contacts and links")
	}
}
