//go:build !race

// It plays many worlds, which the race detector makes ten times slower; make sim runs it.

package sim

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"testing"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/decision"
)

// TestEveryDecisionIsReplayed_SEC40: whatever happens to SIM_REPLAYED worlds, or a few, the
// record of each replica gives again what it decided.
func TestEveryDecisionIsReplayed_SEC40(t *testing.T) {
	worlds, err := strconv.Atoi(cmp.Or(os.Getenv("SIM_REPLAYED"), "4"))
	if err != nil {
		t.Fatal(err)
	}
	decisions, incidents, records, size, most, other := 0, 0, 0, 0, 0, 0
	for seed := uint64(1000); seed < 1000+uint64(worlds); seed++ {
		w := newWorld(Swarm(seed), nil)
		logs := map[int][]audit.Record{} // by replica
		w.recorded = func(r *replica, x audit.Record) {
			if len(logs[r.id]) == 0 {
				logs[r.id] = []audit.Record{{Seq: 1, At: x.At, Kind: "config", Actor: "watchdog",
					Data: decision.Begun()}}
			}
			x.Seq = uint64(len(logs[r.id])) + 1
			logs[r.id] = append(logs[r.id], x)
			b, _ := json.Marshal(x)
			if n := len(b) + 140; x.Kind != decision.Kind { // with the hashes of a line on disk
				other += n
			} else {
				records, size, most = records+1, size+n, max(most, n)
			}
		}
		w.run()
		for _, log := range logs {
			var p decision.Replay
			for _, x := range log {
				p.Add(x)
			}
			for _, d := range p.Differences {
				t.Errorf("seed %d: %s", seed, d)
			}
			if len(p.Left) > 0 || p.Without > 0 {
				t.Errorf("seed %d: %q", seed, p.Summary())
			}
			decisions, incidents = decisions+p.Decisions, incidents+p.Incidents
		}
		if *update && seed == 1000 {
			writeFormat(t, logs)
		}
	}
	if decisions < 50*worlds {
		t.Errorf("only %d decisions in %d worlds", decisions, worlds)
	}
	t.Logf("%d decisions of %d incidents in %d records, the largest of %d bytes; an incident has %d bytes of them, "+
		"and %d of other records", decisions, incidents, records, most, size/max(1, incidents), other/max(1, incidents))
}

// writeFormat keeps the longest log for the test of pkg/decision that sees a change of the core.
func writeFormat(t *testing.T, logs map[int][]audit.Record) {
	t.Helper()
	var longest []audit.Record
	for _, log := range logs {
		if len(log) > len(longest) {
			longest = log
		}
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	e := json.NewEncoder(z)
	for _, x := range longest {
		if err := e.Encode(x); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fmt.Sprintf("../../pkg/decision/testdata/format-%d.jsonl.gz", decision.Format), b.Bytes(),
		0o644); err != nil {
		t.Fatal(err)
	}
}
