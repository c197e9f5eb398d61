package rules

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// server is a Prometheus that the rules ask, with a clock of its own.
type server struct {
	t     *testing.T
	now   time.Time
	store *storage.Store
	judge *Manager
}

// serverWith judges a rule over a server every 15 s.
func serverWith(t *testing.T, rules ...Threshold) *server {
	t.Helper()
	s := &server{t: t, now: start}
	s.store = storeAt(&s.now, storage.Options{})
	s.judge = newManager(t, Options{Remote: promql.NewLocal(s.store, promql.LocalOptions{}), Interval: 15 * time.Second,
		Now: func() time.Time { return s.now }})
	if _, err := s.judge.Update(Config{Thresholds: rules}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) put(v float64, name string, pairs ...string) {
	s.store.Append([]*model.Sample{one(s.now, v, name, pairs...)})
}

// end is the mark with which a series ends at a scrape that failed or that has it no more.
func (s *server) end(name string, pairs ...string) {
	s.put(endMark(), name, pairs...)
}

func (s *server) alert() Alert { return s.judge.AlertsOf("a")[0] }

func diskRule() Threshold {
	return Threshold{Name: "disk", Expr: `max by (target) (disk_used{job="node"})`, Source: Prometheus,
		SourceKind: "prometheus", Above: true, Bound: 0.9, Clear: 0.8, For: time.Minute, ClearFor: time.Minute,
		Targets: []string{"a"}}
}

// TestAHealthySourceIsFreshHoweverSeldomItIsScraped_X10: watchdog's own interval says nothing of the server's.
func TestAHealthySourceIsFreshHoweverSeldomItIsScraped_X10(t *testing.T) {
	for _, tc := range []struct {
		name    string
		every   time.Duration
		misses  int // each so many-th scrape fails; 0: none
		markers bool
	}{
		{"every 15 s", 15 * time.Second, 0, true},
		{"every minute", time.Minute, 0, true},
		{"every minute, one in ten fails and leaves nothing", time.Minute, 10, false},
		{"every minute, one in ten fails and ends the series", time.Minute, 10, true},
		{"every two minutes", 2 * time.Minute, 0, true},
		{"every five minutes", 5 * time.Minute, 0, true},
		{"every five minutes, one in four fails and ends the series", 5 * time.Minute, 4, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serverWith(t, diskRule())
			scrapes := 0
			for range int(4 * time.Hour / (5 * time.Second)) {
				if s.now.Sub(start)%tc.every == 0 {
					scrapes++
					switch {
					case tc.misses == 0 || scrapes%tc.misses != 0:
						s.put(0.5, "disk_used", "target", "a", "job", "node")
					case tc.markers:
						s.end("disk_used", "target", "a", "job", "node")
					}
				}
				if s.now.Sub(start)%(15*time.Second) == 0 {
					s.judge.EvalThresholds(context.Background())
					if a := s.alert(); a.Verdict == Stale || a.Verdict == Error || tc.misses == 0 && a.Verdict != OK {
						t.Fatalf("after %s the verdict is %s: %s", s.now.Sub(start), a.Verdict, a.Reason)
					}
					if blind, why := s.judge.Blind(); blind {
						t.Fatalf("blind after %s: %s", s.now.Sub(start), why)
					}
				}
				s.now = s.now.Add(5 * time.Second)
			}
		})
	}
}

// TestASourceThatIsGoneIsBlindness_X10: what is late is not late for ever.
func TestASourceThatIsGoneIsBlindness_X10(t *testing.T) {
	s := serverWith(t, diskRule())
	var gone time.Time
	for range 4 * 60 {
		if at := s.now.Sub(start); at < 30*time.Minute && at%time.Minute == 0 {
			s.put(0.5, "disk_used", "target", "a", "job", "node")
			gone = s.now
		}
		s.judge.EvalThresholds(context.Background())
		if blind, why := s.judge.Blind(); blind {
			if !strings.Contains(why, "1 of 1 alerts lost their data") {
				t.Error(why)
			}
			if after := s.now.Sub(gone); after < 5*time.Minute || after > 6*time.Minute {
				t.Errorf("blind %s after the last sample", after)
			}
			return
		}
		s.now = s.now.Add(15 * time.Second)
	}
	t.Error("an exporter that is gone for half an hour is no blindness")
}

// TestWhatNobodyCanSeeIsCounted_X11: a probe without an answer, a rule that lost its data; not what is quiet, fires, or
// never had any.
func TestWhatNobodyCanSeeIsCounted_X11(t *testing.T) {
	row, _ := LookupBuiltin("unseen")
	unseen, err := row.Apply(Threshold{Name: "unseen", For: time.Minute, ClearFor: time.Minute,
		Targets: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, now: start}
	s.store = storeAt(&s.now, storage.Options{})
	remote := storeAt(&s.now, storage.Options{})
	s.judge = newManager(t, Options{Local: promql.NewLocal(s.store, promql.LocalOptions{}),
		Remote: promql.NewLocal(remote, promql.LocalOptions{}), Interval: 15 * time.Second,
		Now: func() time.Time { return s.now }})
	// Two more see all the while, so that one that lost its data is no blindness.
	other := func(name, metric string) Threshold {
		return Threshold{Name: name, Expr: "max by (target) (" + metric + ")", Above: true, Bound: 1, Clear: 1,
			For: time.Minute, Targets: []string{"a", "b"}, Source: Prometheus}
	}
	if _, err := s.judge.Update(Config{Thresholds: []Threshold{unseen, other("kept", "kept"), other("kept2", "kept"),
		other("lost", "lost"), other("never", "never")}}); err != nil {
		t.Fatal(err)
	}
	value := func(target string) string {
		for _, a := range s.judge.AlertsOf(target) {
			if a.Rule == "unseen" {
				return string(a.State) + " " + number(a.Value)
			}
		}
		return ""
	}
	for range 4 * 30 {
		at := s.now.Sub(start)
		for _, target := range []string{"a", "b"} {
			unknown := 0.0
			if target == "a" && at >= 5*time.Minute {
				unknown = 1
			}
			s.store.Append([]*model.Sample{one(s.now, unknown, "watchdog_probe_unknown", "target", target,
				"probe", "front")})
			remote.Append([]*model.Sample{one(s.now, 0, "kept", "target", target)})
			if at < 10*time.Minute || target == "a" {
				remote.Append([]*model.Sample{one(s.now, 0, "lost", "target", target)})
			}
		}
		s.judge.EvalThresholds(context.Background())
		s.now = s.now.Add(15 * time.Second)
	}
	if got := value("a"); got != "firing 1" {
		t.Errorf("a, whose probe has no answer: %s", got)
	}
	if got := value("b"); got != "firing 1" {
		t.Errorf("b, whose rule lost its data: %s", got)
	}
	if u := s.judge.Unhealthy(); len(u) > 0 {
		t.Errorf("what cannot be seen counts as trouble: %v", u)
	}
}
