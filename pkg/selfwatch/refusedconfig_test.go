package selfwatch

import (
	"errors"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

func TestARefusedConfigurationIsToldUntilOneIsLoaded_A5(t *testing.T) {
	r, now := &Refusal{}, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	if a := r.Alarm(now); a.Firing || a.Verdict != incident.OK {
		t.Errorf("nothing was refused: %+v", a)
	}
	bad := config.Errors{{File: "w.yaml", Line: 3, Column: 5, Path: "targets[60].workload",
		Message: "only deployments can be acted upon"}, {File: "w.yaml", Message: "b"}, {File: "w.yaml", Message: "c"}}
	if !r.Take(bad, now) || r.Take(bad, now.Add(time.Minute)) {
		t.Error("the same refusal is news once")
	}
	if a := r.Alarm(now.Add(refusedFor - time.Second)); a.Firing {
		t.Error("told before the files have settled")
	}
	a := r.Alarm(now.Add(2 * time.Minute))
	if !a.Firing || a.Severity != incident.P3 || !a.ActiveAt.Equal(now) || len(a.Ladder) != 0 {
		t.Errorf("%+v", a)
	}
	for _, want := range []string{"reload failed", "keeping the previous configuration",
		"targets[60].workload: only deployments can be acted upon", "and 2 more"} {
		if !strings.Contains(a.Reason, want) {
			t.Errorf("no %q in %q", want, a.Reason)
		}
	}
	if !r.Take(errors.New("another"), now.Add(3*time.Minute)) {
		t.Error("another refusal is no news")
	}
	if a := r.Alarm(now.Add(3 * time.Minute)); !a.ActiveAt.Equal(now) {
		t.Errorf("refused since %s: what runs is old since the first one", a.ActiveAt)
	}
	if !r.Take(nil, now.Add(4*time.Minute)) || r.Stands() || r.Alarm(now.Add(5*time.Minute)).Firing {
		t.Error("loaded, and still told as refused")
	}
}
