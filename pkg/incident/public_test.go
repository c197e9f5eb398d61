package incident

import (
	"strings"
	"testing"
	"time"
)

func TestThePublicIsOwedAWordEveryHalfHour(t *testing.T) {
	told := map[string]Receipt{PublicReceiver: {Ref: "sp1", State: "investigating", At: t0}}
	for name, c := range map[string]struct {
		severity Severity
		receipts map[string]Receipt
		want     int
	}{
		"a P0 on the page":     {P0, told, 3},
		"a P1 on the page":     {P1, told, 0},
		"a P0 that is nowhere": {P0, nil, 0},
		"a P0 that is proposed": {P0, map[string]Receipt{PublicReceiver: {State: "investigating", Proposed: true, At: t0}},
			0},
	} {
		i := New("i", Target{Name: "shop"}, t0)
		i.Receipts = c.receipts
		for at := t0; at.Before(t0.Add(100 * time.Minute)); at = at.Add(10 * time.Second) {
			i, _ = Step(i, Tick{At: at, Alerts: []Alert{{Rule: "errors", Severity: c.severity, Firing: true,
				Verdict: Breach, EvaluatedAt: at, ActiveAt: t0}}}, DefaultPolicy())
		}
		n := 0
		for _, e := range i.Timeline {
			if e.Kind == "update due" {
				n++
				if want := t0.Add(time.Duration(n) * UpdateEvery); e.At != want {
					t.Errorf("%s: reminded at %s, want %s", name, e.At, want)
				}
			}
		}
		if n != c.want {
			t.Errorf("%s: reminded %d times, want %d", name, n, c.want)
		}
	}
}

func TestThePublicLineSaysWhatIsWantedOfWhom(t *testing.T) {
	i := New("01a", Target{Name: "shop"}, t0)
	line := func(want string) {
		t.Helper()
		if got := i.PublicLine(t0); got != want && (want == "" || !strings.Contains(got, want)) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	line("")
	i.Receipts = map[string]Receipt{PublicReceiver: {State: "investigating", Proposed: true}}
	line("proposed: \"investigating\". Post it with `watchdog publish 01a`")
	i.Public = PublicAction{Attribution: Attribution{By: "alice", Reason: "the text"}, HoldUntil: t0.Add(time.Hour)}
	line("no updates until 13:00:00 UTC, 1 Jan, by alice: the text")
	i.Public, i.Receipts = PublicAction{}, map[string]Receipt{PublicReceiver: {Ref: "sp1", State: "identified"}}
	line("Status page: identified")
}
