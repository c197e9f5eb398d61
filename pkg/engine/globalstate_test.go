package engine

import (
	"strings"
	"testing"
	"time"
)

// TestHowLongASourceMayBeAway_X16: a server that restarts is no page, one that flaps is one incident, and one that
// stays
// away is told.
func TestHowLongASourceMayBeAway_X16(t *testing.T) {
	type spell struct{ away, back time.Duration }
	const s, m = time.Second, time.Minute
	for _, tc := range []struct {
		name      string
		spells    []spell
		tolerance time.Duration
		tells     int
	}{
		{"it restarts for 35 s", []spell{{35 * s, 20 * m}}, 3 * m, 0},
		{"it restarts twice", []spell{{35 * s, m}, {35 * s, 20 * m}}, 3 * m, 0},
		{"it restarts once an hour", []spell{{35 * s, time.Hour}, {35 * s, time.Hour}, {35 * s, time.Hour},
			{35 * s, time.Hour}, {35 * s, time.Hour}, {35 * s, time.Hour}}, 3 * m, 0},
		{"it is away for ten minutes", []spell{{10 * m, 20 * m}}, 3 * m, 1},
		{"it is away every other minute", []spell{{m, m}, {m, m}, {m, m}, {m, m}, {m, m}, {m, m}, {m, 20 * m}}, 3 * m,
			1},
		{"it is away for four minutes, and again two minutes later", []spell{{4 * m, 2 * m}, {4 * m, 20 * m}}, 3 * m,
			1},
		{"it is away for ten minutes, and again an hour later", []spell{{10 * m, time.Hour}, {10 * m, 20 * m}}, 3 * m,
			2},
		{"it is away for ten minutes, and a quarter of an hour is tolerated", []spell{{10 * m, 20 * m}}, 15 * m, 0},
		{"no tolerance is set", []spell{{35 * s, 20 * m}}, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b blindness
			now, tells, told := time.Unix(0, 0), 0, false
			step := func(why string, d time.Duration) {
				for range int(d / (5 * s)) {
					b.see(why, tc.tolerance, now)
					if b.toldBlind && !told {
						tells++
					}
					if why != "" && b.blind == "" {
						t.Fatal("what is done is not held up at once")
					}
					told, now = b.toldBlind, now.Add(5*s)
				}
			}
			for _, x := range tc.spells {
				step("prometheus: connection refused", x.away)
				step("", x.back)
			}
			if tells != tc.tells || b.toldBlind {
				t.Errorf("told %d times, want %d; still told: %v", tells, tc.tells, b.toldBlind)
			}
		})
	}
}

// TestAFlappingSourceIsGoneOnWithByTheNextLeader_X10: what was told is not told again.
func TestAFlappingSourceIsGoneOnWithByTheNextLeader_X10(t *testing.T) {
	var b blindness
	now := time.Unix(0, 0)
	b.resumeBlind("prometheus: connection refused", now)
	if b.see("", time.Minute, now.Add(time.Second)); !b.toldBlind ||
		!strings.Contains(b.blindText(), "data is back since 00:00:01, the incident resolves at 00:05:01 UTC "+
			"if that lasts") {
		t.Errorf("%v: %s", b.toldBlind, b.blindText())
	}
	if b.see("", time.Minute, now.Add(6*time.Minute)); b.toldBlind || b.blindText() != "" {
		t.Errorf("%v: %s", b.toldBlind, b.blindText())
	}
}

// TestTheTextOfAStormIsOfNow_A4: the numbers are the present ones, and it says when it ends.
func TestTheTextOfAStormIsOfNow_A4(t *testing.T) {
	w := globalState{stormSince: time.Unix(60, 0)}
	if got := w.stormText(FleetHealth{Watched: 73, Unhealthy: 30}, 21.9); !strings.Contains(got,
		"30 of 73 watched targets are in breach, limit 21.9") ||
		!strings.Contains(got, "since 00:01:00 UTC") || !strings.Contains(got,
		"budget.max_unhealthy, budget.storm_from") {
		t.Error(got)
	}
	w.calmSince = time.Unix(300, 0)
	if got := w.stormText(FleetHealth{Watched: 73, Unhealthy: 2}, 21.9); !strings.Contains(got,
		"2 of 73 watched targets") || !strings.Contains(got,
		"storm since 00:01:00, calm since 00:05:00, ends at 00:10:00 UTC if it stays calm") {
		t.Error(got)
	}
}
