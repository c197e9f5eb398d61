//go:build !race

// It plays many worlds, which the race detector makes ten times slower; make sim and make museum run it.

package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
)

var (
	update = flag.Bool("update", false, "write docs/museum.md anew")
	visits = flag.Int("visits", shown, "how many seeds each exhibit is played with")
)

// shown is how many seeds docs/museum.md tells of, however many are played.
const shown = 5

// TestMuseum: accidents that other systems had do not happen here.
func TestMuseum(t *testing.T) {
	debug.SetGCPercent(400)
	all, err := Museum()
	if err != nil {
		t.Fatal(err)
	}
	var sum Score
	played, runs, violations, pending := 0, 0, 0, 0
	doc := strings.Builder{}
	doc.WriteString(museumHead)
	for _, x := range all {
		t.Run(x.ID, func(t *testing.T) {
			all := playAll(x, max(*visits, shown))
			for _, v := range all {
				sum = sum.Add(v.Score)
				violations += len(v.Violations)
			}
			played, runs = played+1, runs+len(all)
			if x.Pending != "" {
				pending++
			}
			doc.WriteString(row(x, all[:shown]))
			t.Logf("%s: %s", x.Title, came(all))
			bad := slices.IndexFunc(all, func(v Visit) bool { return len(v.Wrong) > 0 })
			switch {
			case bad >= 0 && x.Pending != "":
				t.Logf("pending: %s; seed %d: %s", x.Pending, all[bad].Scenario.Seed,
					strings.Join(all[bad].Wrong, "; "))
			case bad >= 0:
				t.Errorf("seed %d: %s\n%s", all[bad].Scenario.Seed, strings.Join(all[bad].Wrong, "; "),
					Story(all[bad].Scenario))
			case x.Pending != "":
				t.Errorf("it comes out as demanded: remove `pending: %s`", x.Pending)
			}
		})
	}
	t.Logf("museum: %d harmful actions in %d scenarios (%d runs), %d violations, %d actions, %d pages; %d pending",
		sum.Harmful, played, runs, violations, sum.Effects, sum.Pages, pending)
	if played < len(all) {
		return // the table is of all
	}
	const path = "../../docs/museum.md"
	if *update {
		if err := os.WriteFile(path, []byte(doc.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != doc.String() {
		t.Errorf("docs/museum.md is not what came out (%v): go test -run TestMuseum ./internal/sim -update", err)
	}
}

func playAll(x Exhibit, times int) []Visit {
	runs := make([]Visit, times)
	next := make(chan int, times)
	for k := range times {
		next <- k
	}
	close(next)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for k := range next {
				runs[k] = x.Play(uint64(k + 1))
			}
		})
	}
	wg.Wait()
	return runs
}

// TestTheMuseumIsComplete: every accident of the list is there, once.
func TestTheMuseumIsComplete(t *testing.T) {
	all, err := Museum()
	if err != nil {
		t.Fatal(err)
	}
	want := []int{1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 14, 15, 17, 18, 19, 21, 22, 24, 25, 26, 28, 29, 30, 31, 33, 34,
		35, 36, 38, 39, 40, 41, 43, 44, 45}
	have := map[string]int{}
	for _, x := range all {
		have[x.ID]++
	}
	for _, n := range want {
		id := fmt.Sprintf("M-%02d", n)
		if have[id] != 1 {
			t.Errorf("%s is there %d times, want once", id, have[id])
		}
		delete(have, id)
	}
	for id := range have {
		t.Errorf("%s is not in the list", id)
	}
}

// TestAnExhibitIsReadStrictly: what would be passed over in silence is an error.
func TestAnExhibitIsReadStrictly(t *testing.T) {
	const good = "id: M-00\ntitle: t\nhappened: h\nsource: s\nhere: h\ninvariants: [INV-08]\ntargets: [{name: " +
		"shop}]\nhappens: [{at: 1m, what: blind}]\n"
	if _, err := readExhibit([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for change, says := range map[string]string{
		"expects: {effects: 0}\n":      "expects",
		"expect: {effects: few}\n":     "no number of things",
		"expect: {paged: [cart]}\n":    "no target cart",
		"---\nid: M-01\n":              "one document",
		"faults: {kil: 1}\n":           "kil",
		"policy: {ladder: {}}\n":       "ladder",
		"expect: {left: {cart: 1}}\n":  "no target cart",
		"expect: {on: {cart-*: 1-}}\n": "no target cart-*",
	} {
		if _, err := readExhibit([]byte(good + change)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error that says %q", change, err, says)
		}
	}
	if _, err := readExhibit([]byte(strings.Replace(good, "what: blind", "what: blnd", 1))); err == nil {
		t.Error("an unknown happening is read")
	}
}

const museumHead = `# The museum of accidents

Each row is an accident that a system like this one had, or that was had by one. It is played in the simulator with
` + "`make museum`" +
	`, again and again with different chance, and what a careful operator would demand of it is checked: no harmful action,
no broken promise, no trouble passed over in silence, and what its file under ` + "`internal/sim/museum`" + ` says besides.

This table is made from the files and the runs: ` + "`go test -run TestMuseum ./internal/sim -update`" + `.

| id | what happened | what happens here | what watchdog did |
|---|---|---|---|
`

func row(x Exhibit, runs []Visit) string {
	did := came(runs)
	if x.Pending != "" {
		did += " **Pending:** " + x.Pending
	}
	return fmt.Sprintf("| %s | **%s.** %s (%s) | %s | %s |\n", x.ID, cell(x.Title), cell(x.Happened), cell(x.Source),
		cell(x.Here), cell(did))
}

func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "/")
}

// came says what watchdog did, from the run in which it did least to the run in
// which it did most.
func came(runs []Visit) string {
	actions := map[string]bool{}
	for _, v := range runs {
		for a := range v.Actions {
			actions[a] = true
		}
	}
	var did []string
	for _, a := range sorted(actions) {
		did = append(did, a+" "+between(runs, func(v Visit) int { return v.Actions[a] }))
	}
	if len(did) == 0 {
		did = []string{"nothing"}
	}
	return fmt.Sprintf("%s; pages %s.", strings.Join(did, ", "),
		between(runs, func(v Visit) int { return v.Score.Pages }))
}

func between(runs []Visit, of func(Visit) int) string {
	least, most := of(runs[0]), of(runs[0])
	for _, v := range runs {
		least, most = min(least, of(v)), max(most, of(v))
	}
	if least == most {
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d–%d", least, most)
}
