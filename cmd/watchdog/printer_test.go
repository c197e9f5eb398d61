package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
)

// A single page of incidents is printed newest first. Several pages are printed one by one, as they
// arrive, in the order of the API server.
func TestManyIncidentsArePrintedAsTheyCome(t *testing.T) {
	opened := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	id := func(n int) string { return fmt.Sprintf("01%05d", n) }
	for n, wantFirst := range map[int]int{0: 0, 1: 0, printed: printed - 1, printed + 1: 0, 2*printed + 7: 0} {
		for _, asJSON := range []bool{false, true} {
			var out strings.Builder
			p := printer{out: &out, json: asJSON}
			for k := range n {
				if err := p.add(incident.Incident{ID: id(k), OpenedAt: opened.Add(time.Duration(k) * time.Second)}); err != nil {
					t.Fatal(err)
				}
				if soon := strings.Contains(out.String(), id(0)); soon != (k >= printed) {
					t.Fatalf("%d incidents: after %d of them, the first is printed: %v", n, k+1, soon)
				}
			}
			if err := p.end(); err != nil {
				t.Fatal(err)
			}
			var got []string
			if asJSON {
				var all []incident.Incident
				if err := json.Unmarshal([]byte(out.String()), &all); err != nil || all == nil {
					t.Fatalf("%d incidents: %v: %.80s", n, err, out.String())
				}
				for _, i := range all {
					got = append(got, i.ID)
				}
			} else {
				for line := range strings.Lines(out.String()) {
					if name, _, _ := strings.Cut(line, " "); strings.HasPrefix(name, "01") {
						got = append(got, name)
					}
				}
				if heads := strings.Count(out.String(), "SEVERITY"); heads != min(n, 1) {
					t.Errorf("%d incidents: %d heads", n, heads)
				}
			}
			if len(got) != n || n > 0 && (got[0] != id(wantFirst) || got[n-1] != id(n-1-wantFirst)) {
				t.Errorf("%d incidents, JSON %v: %d printed, from %v", n, asJSON, len(got), got[:min(len(got), 2)])
			}
		}
	}
}

func TestShortLivedCommandsCollectGarbageLessOften(t *testing.T) {
	percent := func() int {
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	before := percent()
	for set, want := range map[string]int{"": briefGCPercent, "77": before} {
		t.Setenv("GOGC", set)
		during := 0
		c := shortLived(&cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { during = percent(); return nil }})
		c.SetArgs(nil)
		if err := c.Execute(); err != nil || during != want || percent() != before {
			t.Errorf("GOGC=%q: %d during the command, want %d; %d after it; %v", set, during, want, percent(), err)
		}
	}
}
