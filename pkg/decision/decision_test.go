package decision

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
)

var (
	t0   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	shop = incident.Target{Name: "shop", Namespace: "shop", Kind: "deployment", Workload: "shop", UID: "u1"}
)

// tale is an incident that is only told, and what is written down of it.
type tale struct {
	scribe  Scribe
	inc     incident.Incident
	at      time.Time
	saved   int
	records []audit.Record
}

func begin() *tale { return &tale{inc: incident.New("i1", shop, t0), at: t0} }

func (s *tale) alert(value float64) incident.Alert {
	a := incident.Alert{Rule: "errors", Severity: incident.P1, Firing: true, Verdict: incident.Breach, Value: value,
		Bound: 1, Above: true, Reason: fmt.Sprint(value), ActiveAt: t0, EvaluatedAt: s.at}
	if value <= a.Bound {
		a.Firing, a.Verdict = false, incident.OK
	}
	return a
}

func (s *tale) tick(d time.Duration, alerts ...incident.Alert) {
	s.at = s.at.Add(d)
	s.inc, _ = s.scribe.Step(s.inc, incident.Tick{At: s.at, Alerts: alerts,
		Rollout: incident.Rollout{Known: true, Done: true, Ready: 3}}, incident.DefaultPolicy())
}

// write puts on record what is not yet.
func (s *tale) write() {
	add := func(r audit.Record) {
		r.Seq = uint64(len(s.records)) + 1
		s.records = append(s.records, r)
	}
	if r, news := s.scribe.Pending(s.inc); news {
		add(r)
		s.scribe.Written()
	}
	for _, e := range s.inc.Timeline[s.saved:] {
		add(audit.Record{At: e.At, Kind: string(e.Kind), Incident: s.inc.ID, Target: s.inc.Target.String(),
			Actor: "watchdog", Text: e.Text})
	}
	s.saved = len(s.inc.Timeline)
}

func told() *tale {
	s := begin()
	for range 12 {
		s.tick(time.Second, s.alert(5))
		s.write()
		s.tick(time.Second, s.alert(0.5), incident.Alert{Rule: "other", Severity: incident.P2, Firing: true,
			Verdict: incident.Breach, ActiveAt: t0, EvaluatedAt: s.at})
		s.write()
	}
	return s
}

func play(records []audit.Record) Report {
	var p Replay
	for _, r := range records {
		p.Add(r)
	}
	return p.Report
}

func TestWhatDecidesNothingIsNotWritten(t *testing.T) {
	s := begin()
	s.tick(0, s.alert(5))
	s.write()
	n := len(s.records)
	for range 600 {
		s.tick(time.Second, s.alert(5+float64(s.at.Second())))
		s.write()
	}
	if len(s.records) != n {
		t.Errorf("%d records of 10 minutes in which nothing was decided: %+v", len(s.records)-n, s.records[n])
	}
	s.tick(time.Second, s.alert(0))
	s.write()
	if got := play(s.records); len(got.Differences) > 0 || got.Decisions != 2 || len(s.records) == n {
		t.Errorf("%+v", got)
	}
}

// TestARecordWithoutItsBeginningIsReplayedFromAFullState: older files are removed.
func TestARecordWithoutItsBeginningIsReplayedFromAFullState(t *testing.T) {
	all := told().records
	whole := play(all)
	if len(whole.Differences) > 0 || whole.Decisions < fullEvery+4 {
		t.Fatalf("%+v", whole)
	}
	cut := play(all[1:])
	if len(cut.Differences) > 0 || len(cut.Left) != 1 || cut.Decisions == 0 ||
		cut.Decisions != whole.Decisions-fullEvery {
		t.Errorf("%q", cut.Summary())
	}
	for n, r := range all[1:] {
		r.Seq = uint64(n) + 1 // as if there had never been more
		all[n+1] = r
	}
	if forged := play(all[1:]); len(forged.Differences) == 0 {
		t.Errorf("%q", forged.Summary())
	}
}

// TestADecisionThatIsLeftOutIsMissed: alone, or with all lines that follow from it.
func TestADecisionThatIsLeftOutIsMissed(t *testing.T) {
	all := told().records
	for n, r := range all {
		if n == 0 || r.Kind != Kind {
			continue
		}
		next := n + 1
		for next < len(all) && all[next].Kind != Kind {
			next++
		}
		for _, end := range []int{n + 1, next} {
			if end == len(all) {
				continue // only what was noted elsewhere shows that the end is missing
			}
			if got := play(slices.Concat(all[:n], all[end:])); len(got.Differences) == 0 {
				t.Errorf("records %d to %d were taken out: %q", r.Seq, all[end].Seq-1, got.Summary())
			}
		}
	}
}

// TestALogThatSaysItHoldsDecisionsHoldsThem: all of an incident's are taken out.
func TestALogThatSaysItHoldsDecisionsHoldsThem(t *testing.T) {
	lines := slices.DeleteFunc(told().records, func(r audit.Record) bool { return r.Kind == Kind })
	for _, c := range []struct {
		data          json.RawMessage
		differ, count int
	}{{Begun(), len(lines), 0}, {nil, 0, len(lines)}} {
		got := play(slices.Concat([]audit.Record{{Seq: 1, Kind: "config", Actor: "watchdog", Data: c.data}}, lines))
		if len(got.Differences) != c.differ || got.Without != c.count {
			t.Errorf("config %s: %q", c.data, got.Summary())
		}
	}
}

// TestAnEarlierVersionMayWriteInBetween: its lines have no decisions, and are no difference.
func TestAnEarlierVersionMayWriteInBetween(t *testing.T) {
	all := told().records
	line := all[1]
	line.Text = "something else"
	mixed := slices.Concat([]audit.Record{{Seq: 1, Kind: "config", Actor: "watchdog", Data: Begun()}}, all,
		[]audit.Record{{Kind: "config", Actor: "watchdog"}, line})
	if got := play(mixed); len(got.Differences) > 0 || got.Without != 1 {
		t.Errorf("%q", got.Summary())
	}
}

func TestWhatARecordUnfoldsToIsBounded(t *testing.T) {
	s := begin()
	a := s.alert(5)
	a.Reason = strings.Repeat("x", 100<<10)
	s.tick(0, a)
	s.write()
	forged := s.records[0]
	forged.Seq = uint64(len(s.records)) + 1
	forged.Data = fmt.Appendf(nil,
		`{"format":%d,"steps":[{"after":"%s","given":{"tick":{"Alerts":[%s]}},"got":{"phase":"open","state":""}}]}`,
		Format, s.scribe.state, strings.TrimSuffix(strings.Repeat("[0,1],", 100), ","))
	got := play(append(s.records, forged))
	if len(got.Differences) != 1 || !strings.Contains(got.Differences[0].What, "it unfolds to more than") {
		t.Errorf("%.200q", got.Differences)
	}
}

// TestWhatCannotBeWrittenDownIsDecidedAllTheSame: the record says that it is missing.
func TestWhatCannotBeWrittenDownIsDecidedAllTheSame(t *testing.T) {
	for name, spoil := range map[string]func(a *incident.Alert){
		"a value that JSON has not": func(a *incident.Alert) { a.Value = math.NaN() },
		"more than a record takes":  func(a *incident.Alert) { a.Reason = strings.Repeat("x", maxData) },
	} {
		t.Run(name, func(t *testing.T) {
			s := begin()
			s.tick(0, s.alert(5))
			s.write()
			a := s.alert(6)
			a.Firing, a.Verdict = false, incident.OK
			spoil(&a)
			s.tick(time.Second, a)
			if s.inc.Phase != incident.Resolved {
				t.Fatalf("phase %s", s.inc.Phase)
			}
			s.write()
			got := play(s.records)
			if len(got.Differences) > 0 || got.Decisions != 1 || len(got.Left) != 1 {
				t.Errorf("%q", got.Summary())
			}
			for _, r := range s.records {
				if len(r.Data) > maxData {
					t.Errorf("a record of %d bytes", len(r.Data))
				}
			}
		})
	}
}

func TestNothingOfTheReceiversIsWrittenDown(t *testing.T) {
	for _, page := range []string{"", "page-1"} {
		s := begin()
		s.inc.Receipts = map[string]incident.Receipt{"slack": {Ref: "sesame", Error: "sesame"}}
		if page != "" {
			s.inc.Receipts[incident.PublicReceiver] = incident.Receipt{Ref: page, Error: "sesame", At: t0}
		}
		s.tick(0, s.alert(5))
		s.write()
		b, err := json.Marshal(s.records)
		if err != nil || bytes.Contains(b, []byte("sesame")) || !bytes.Contains(b, []byte(page)) {
			t.Errorf("%v: %s", err, b)
		}
		if got := play(s.records); len(got.Differences) > 0 {
			t.Errorf("%q", got.Differences)
		}
	}
}

// TestARecordOfThisFormatIsReplayed: the record of a simulated world, committed once for each
// Format. If it fails, Step answers in another way than it did: raise Format, and write the
// file anew: go test -run EveryDecisionIsReplayed -update ./internal/sim
func TestARecordOfThisFormatIsReplayed_SEC40(t *testing.T) {
	f, err := os.Open(filepath.Join("testdata", fmt.Sprintf("format-%d.jsonl.gz", Format)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var p Replay
	for d := json.NewDecoder(z); ; {
		var r audit.Record
		if err := d.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p.Add(r)
	}
	if len(p.Differences) > 0 {
		t.Errorf("the core decides otherwise than what this format was written by: raise Format. First: %s (of %d)",
			p.Differences[0], len(p.Differences))
	}
	if p.Decisions < 250 || p.Incidents < 50 || len(p.Left)+len(p.Foreign)+p.Without > 0 {
		t.Errorf("%q", p.Summary())
	}
}

// FuzzReplay: whatever a record holds, it is read without a panic, and what it unfolds to
// is bounded. The input is the data of the last of three records, behind two that are true.
func FuzzReplay(f *testing.F) {
	s := begin()
	s.tick(0, s.alert(5))
	s.write()
	first := s.records
	s.tick(time.Second, s.alert(0))
	s.write()
	for _, r := range s.records {
		if r.Kind == Kind {
			f.Add([]byte(r.Data))
		}
	}
	f.Add([]byte(`{"format":3}`))
	f.Add([]byte(`{"format":3,"steps":[{"left":"x"}]}`))
	f.Add([]byte(`{"format":3,"steps":[{"full":true,"given":{"kind":"released","state":{"id":"i1",` +
		`"alerts":[{"rule":"a","next":-1,"firing":true,"verdict":"BREACH","ladder":[{}]}],"lead":"a"},"policy":{},` +
		`"event":{}}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Replay
		for _, r := range first {
			p.Add(r)
		}
		r := audit.Record{Seq: uint64(len(first)) + 1, At: t0, Kind: Kind, Incident: "i1", Target: shop.String(),
			Actor: "watchdog", Data: b}
		p.Add(r)
		r.Seq++
		p.Add(r)
		r.Kind, r.Data = "act", nil
		p.Add(r)
		if n := p.Decisions + len(p.Differences) + len(p.Left) + len(p.Foreign); n < 1 || len(p.Summary()) == 0 {
			t.Fatalf("nothing is said of it: %+v", p.Report)
		}
		for _, th := range p.threads {
			if !fits(map[string]any(th.given)) {
				t.Fatal("it unfolds to more than is allowed")
			}
		}
	})
}

// BenchmarkStep is what a Step costs that decides something, and is written down, beside the
// bare Step; and one that decides nothing.
func BenchmarkStep(b *testing.B) {
	open := begin()
	open.tick(0, open.alert(5))
	tick := func(v float64) incident.Tick {
		return incident.Tick{At: open.at.Add(time.Second), Alerts: []incident.Alert{open.alert(v)},
			Rollout: incident.Rollout{Known: true, Done: true, Ready: 3}}
	}
	for name, c := range map[string]struct {
		scribe *Scribe
		value  float64
	}{"decides/bare": {nil, 0}, "decides/written": {&Scribe{}, 0}, "decides nothing/bare": {nil, 6},
		"decides nothing/written": {&Scribe{}, 6}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c.scribe.Step(open.inc, tick(c.value), incident.DefaultPolicy())
				if c.scribe != nil && len(c.scribe.steps) > 0 {
					c.scribe.Pending(open.inc)
					c.scribe.Written()
				}
			}
		})
	}
}
