package probes

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
)

// crowded is a store that has room for nothing that has the label check.
func crowded(samples []*model.Sample) (fit []*model.Sample, err error) {
	for _, s := range samples {
		if s.Metric["check"] == "" {
			fit = append(fit, s)
		} else {
			err = errors.New("1 new names are not stored: this probe has 500 series")
		}
	}
	return fit, err
}

func TestALookWithoutRoomForItsNamesIsUnknownAndSaysSo_S12(t *testing.T) {
	for _, row := range []struct {
		name string
		seen Result
		want State
		says string
	}{
		{"healthy", Result{State: OK, Detail: "healthy"}, Unknown,
			"1 new names are not stored: this probe has 500 series"},
		{"unhealthy", Result{State: Bad, Detail: "status 503"}, Bad,
			"status 503; 1 new names are not stored: this probe has 500 series"},
		{"stale", Result{Detail: "stale"}, Unknown, "stale; 1 new names are not stored: this probe has 500 series"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var log bytes.Buffer
			stored := &recorder{}
			s, err := NewScheduler(Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Append: stored.append,
				Fits: crowded})
			if err != nil {
				t.Fatal(err)
			}
			probe := func(_ context.Context, at time.Time) (Result, error) {
				seen := row.seen
				seen.Samples = []*model.Sample{newSample(at, "watchdog_dependency_up", 1, "check", "x1"),
					newSample(at, "watchdog_health_uptime_seconds", 7)}
				return seen, nil
			}
			if err := s.Set([]Entry{entry("t", time.Minute, probe)}); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				seen, err := s.LookNow(t.Context(), "t")
				if err != nil || seen[0].State != row.want || seen[0].Detail != row.says {
					t.Errorf("got %s %q, %v", seen[0].State, seen[0].Detail, err)
				}
			}
			if got := stored.of(`watchdog_dependency_up{check="x1", probe="p", target="t"}`); len(got) != 0 {
				t.Errorf("%d samples of new names are stored", len(got))
			}
			if got := stored.of(`watchdog_health_uptime_seconds{probe="p", target="t"}`); len(got) != 3 {
				t.Errorf("%d of 3 samples without names are stored", len(got))
			}
			if got := stored.of(`watchdog_probe_unknown{probe="p", target="t"}`); len(got) != 3 ||
				got[0].Value != model.SampleValue(truth(row.want == Unknown)) {
				t.Errorf("watchdog_probe_unknown: got %v", got)
			}
			if n, err := testutil.GatherAndCount(exported(s), "watchdog_dependency_up"); n != 0 || err != nil {
				t.Errorf("%d new names are exported, %v", n, err)
			}
			if n := strings.Count(log.String(), "level=WARN"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, &log)
			}
		})
	}
}

func TestAVeryLongReasonOfAPodIsClipped_S12(t *testing.T) {
	w := Workload{Waiting: map[string]int{strings.Repeat("x", 5000): 1}}
	for _, s := range w.samples(time.Now()) {
		if n := len(s.Metric["reason"]); n > maxName {
			t.Errorf("%d bytes", n)
		}
	}
}

func TestADetailIsOneShortLineWhateverTheProbe_S12(t *testing.T) {
	for name, probe := range map[string]Probe{
		"detail": func(context.Context, time.Time) (Result, error) {
			return Result{State: OK, Detail: strings.Repeat("x\n", 5000)}, nil
		},
		"error": func(context.Context, time.Time) (Result, error) {
			return Result{}, errors.New(strings.Repeat("x\n", 5000))
		},
	} {
		got := ask(t.Context(), slog.New(slog.DiscardHandler), entry("t", time.Minute, probe), time.Now())
		if len(got.Detail) > maxDetail || strings.Contains(got.Detail, "\n") {
			t.Errorf("%s: %d bytes: %.20q", name, len(got.Detail), got.Detail)
		}
	}
}
