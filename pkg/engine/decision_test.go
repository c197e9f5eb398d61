package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/decision"
	"watchdog.io/watchdog/pkg/incident"
)

// replay replays what the stage has on record: each decision must be the same.
func replay(t *testing.T, s *stage) decision.Report {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var p decision.Replay
	p.Add(audit.Record{Seq: 1, Kind: "config", Actor: "watchdog", Data: decision.Begun()})
	for k, r := range s.audits {
		r.Seq = uint64(k) + 2
		p.Add(r)
	}
	for _, d := range p.Differences {
		t.Errorf("replayed: %s", d)
	}
	if p.Without > 0 || len(p.Left) > 0 || len(p.Foreign) > 0 {
		t.Errorf("not replayed: %q", p.Summary())
	}
	return p.Report
}

// deadlines are those of a test.
type deadlines struct{}

func (deadlines) Due(s incident.Severity, step int, from time.Time) time.Time {
	if step > 1 {
		return time.Time{}
	}
	return from.Add(40 * time.Second)
}

func (deadlines) Phases(incident.Severity) []incident.Stage {
	return []incident.Stage{{Name: "detect", Within: 50 * time.Second, Needs: []incident.Need{incident.NeedsAnswer}},
		{Name: "fix", Within: time.Hour}}
}

// written is the log of a run: a scale that helps and a restart of watchdog meanwhile,
// then trouble that it cannot end, with deadlines that pass.
func written(t *testing.T, key audit.Key) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "audit")
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "scale", "restart", "page")
		s.response = deadlines{}
		s.loseReply = 1
		begin := time.Now()
		s.sick = func(w *world) bool {
			return w.replicas < 4 || time.Since(begin) > 10*time.Minute && time.Since(begin) < 30*time.Minute
		}
		play(t, s, 20*time.Second)
		play(t, s, 25*time.Minute)
		play(t, s, 15*time.Minute)
		log, err := audit.Open(dir, audit.Keys{key})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range slices.Concat([]audit.Record{{At: begin, Kind: "config", Actor: "watchdog",
			Data: decision.Begun()}}, s.audits) {
			if _, err := log.Append(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	})
	return dir
}

// forge writes a log anew with its key, each record as change leaves it.
func forge(t *testing.T, dir string, key audit.Key,
	change func(r *audit.Record) (drop bool)) (forged string, changed []uint64) {
	t.Helper()
	forged = filepath.Join(t.TempDir(), "audit")
	log, err := audit.Open(forged, audit.Keys{key})
	if err != nil {
		t.Fatal(err)
	}
	if err := audit.Read(dir, func(r audit.Record) error {
		if r.Kind == "log" {
			return nil
		}
		before, _ := json.Marshal(r)
		drop := change(&r)
		after, _ := json.Marshal(r)
		if drop {
			changed = append(changed, r.Seq)
			return nil
		}
		w, err := log.Append(r)
		if !bytes.Equal(before, after) {
			changed = append(changed, w.Seq)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return forged, changed
}

func replayed(t *testing.T, dir string, key audit.Key) decision.Report {
	t.Helper()
	if v, err := audit.VerifyFolder(dir, audit.Keys{key}); err != nil || len(v.Faults) > 0 {
		t.Fatalf("%v %v", err, v.Faults)
	}
	var p decision.Replay
	if err := audit.Read(dir, func(r audit.Record) error { p.Add(r); return nil }); err != nil {
		t.Fatal(err)
	}
	return p.Report
}

// TestADecisionThatWasChangedIsFound_SEC40: the log of a real run is replayed, and whoever
// has the key and changes what was decided, or why, is found.
func TestADecisionThatWasChangedIsFound_SEC40(t *testing.T) {
	key := audit.NewKey([]byte(strings.Repeat("k", 40)))
	dir := written(t, key)
	good := replayed(t, dir, key)
	if len(good.Differences) > 0 || good.Without > 0 || good.Decisions < 16 || good.Incidents < 2 {
		t.Fatalf("%d decisions of %d incidents: %q", good.Decisions, good.Incidents, good.Differences)
	}
	once := func(change func(r *audit.Record) bool) func(r *audit.Record) bool {
		done := false
		return func(r *audit.Record) bool {
			if done {
				return false
			}
			before := *r
			drop := change(r)
			done = drop || r.Text != before.Text || r.Kind != before.Kind || r.Plan != before.Plan ||
				r.Incident != before.Incident || !bytes.Equal(r.Data, before.Data)
			return drop
		}
	}
	inDecision := func(old, with string) func(r *audit.Record) bool {
		return once(func(r *audit.Record) bool {
			if r.Kind == decision.Kind {
				r.Data = bytes.Replace(r.Data, []byte(old), []byte(with), 1)
			}
			return false
		})
	}
	inText := func(kind, text string) func(r *audit.Record) bool {
		return once(func(r *audit.Record) bool {
			if r.Kind == kind {
				r.Text = text
			}
			return false
		})
	}
	for name, c := range map[string]struct {
		change func(r *audit.Record) bool
		what   string
	}{
		"the verdict of a rule":      {inDecision(`"verdict":"BREACH"`, `"verdict":"OK"`), "gave"},
		"the phase that was decided": {inDecision(`"phase":"acting"`, `"phase":"escalated"`), "gave another result"},
		"the effect that was decided": {inDecision(`"effects":["reserve"]`, `"effects":["act"]`),
			"gave another result"},
		"the state after": {inDecision(`"effects":["reserve"],"state":"`,
			`"effects":["reserve"],"state":"0`), "gave another state"},
		"what a guard said": {inDecision(`"guard":"mode"`, `"guard":"mode","hold":"advise"`),
			"the guards' answers have another result"},
		"what the plan writes": {inDecision(`"inverse":"`, `"inverse":"AAAA`), "the plan has another hash"},
		"how the write was answered": {inDecision(`"Outcome":"unknown"`, `"Outcome":"applied"`),
			"gave another result"},
		"a deadline":             {inDecision(`"P1 1 `, `"P1 7 `), "which is not on record"},
		"what the timeline says": {inText("verdict", "scale: no effect"), "produced something else"},
		"with what it was done": {once(func(r *audit.Record) bool {
			if r.Kind == "act" {
				r.Data = bytes.Replace(r.Data, []byte(`"guard":"mode"`), []byte(`"guard":"code"`), 1)
			}
			return false
		}), "it does not match the decision"},
		"what was done": {inText("act", "scale to 40 replicas"), "the decision has another plan"},
		"that a person was paged": {once(func(r *audit.Record) bool { return r.Kind == "paged" }),
			"produced something else"},
		"that nothing was decided": {once(func(r *audit.Record) bool { return r.Kind == decision.Kind }), ""},
		"an action that nobody decided": {once(func(r *audit.Record) bool {
			r.Op += map[bool]string{true: "x"}[r.Kind == "act"]
			r.Text += map[bool]string{true: " "}[r.Kind == "act"]
			return false
		}), "no preceding decision sends op"},
		"the incident that a decision is about": {once(func(r *audit.Record) bool {
			r.Incident += map[bool]string{true: "x"}[r.Kind == decision.Kind]
			return false
		}), "it is about another incident"},
	} {
		t.Run(name, func(t *testing.T) {
			forged, changed := forge(t, dir, key, c.change)
			if len(changed) != 1 {
				t.Fatalf("%d records changed, want 1", len(changed))
			}
			got := replayed(t, forged, key)
			if len(got.Differences) == 0 {
				t.Fatalf("not found: %q", got.Summary())
			}
			d := got.Differences[0]
			if d.Incident == "" || d.Seq < changed[0] || d.Seq > changed[0]+5 || !strings.Contains(d.What, c.what) {
				t.Errorf("record %d was changed: %s", changed[0], d)
			}
		})
	}
	t.Run("decisions in another format", func(t *testing.T) {
		forged, changed := forge(t, dir, key, func(r *audit.Record) bool {
			r.Data = bytes.Replace(r.Data, fmt.Appendf(nil, `{"format":%d`, decision.Format), []byte(`{"format":99`), 1)
			return false
		})
		got := replayed(t, forged, key)
		if len(got.Differences) > 0 || got.Decisions != 0 || got.Foreign[99] != len(changed) {
			t.Errorf("%q %q", got.Differences, got.Summary())
		}
	})
	t.Run("as an earlier version wrote it", func(t *testing.T) {
		forged, _ := forge(t, dir, key, func(r *audit.Record) bool {
			if r.Kind == "config" {
				r.Data = nil
			}
			return r.Kind == decision.Kind
		})
		got := replayed(t, forged, key)
		if len(got.Differences) > 0 || got.Decisions != 0 || got.Without < 10 {
			t.Errorf("%q %q", got.Differences, got.Summary())
		}
	})
}
