package app

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
)

func TestARefusedConfigurationIsToldUntilOneIsLoaded_A5(t *testing.T) {
	r, now := &refusal{}, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	if a := r.alarm(now); a.Firing || a.Verdict != incident.OK {
		t.Errorf("nothing was refused: %+v", a)
	}
	bad := config.Errors{{File: "w.yaml", Line: 3, Column: 5, Path: "targets[60].workload", Message: "only deployments can be acted upon"}, {File: "w.yaml", Message: "b"}, {File: "w.yaml", Message: "c"}}
	if !r.take(bad, now) || r.take(bad, now.Add(time.Minute)) {
		t.Error("the same refusal is news once")
	}
	if a := r.alarm(now.Add(refusedFor - time.Second)); a.Firing {
		t.Error("told before the files have settled")
	}
	a := r.alarm(now.Add(2 * time.Minute))
	if !a.Firing || a.Severity != incident.P3 || !a.ActiveAt.Equal(now) || len(a.Ladder) != 0 {
		t.Errorf("%+v", a)
	}
	for _, want := range []string{"refused", "previous one stays in use", "targets[60].workload: only deployments can be acted upon", "and 2 more"} {
		if !strings.Contains(a.Reason, want) {
			t.Errorf("no %q in %q", want, a.Reason)
		}
	}
	if !r.take(errors.New("another"), now.Add(3*time.Minute)) {
		t.Error("another refusal is no news")
	}
	if a := r.alarm(now.Add(3 * time.Minute)); !a.ActiveAt.Equal(now) {
		t.Errorf("refused since %s: what runs is old since the first one", a.ActiveAt)
	}
	if !r.take(nil, now.Add(4*time.Minute)) || r.stands() || r.alarm(now.Add(5*time.Minute)).Firing {
		t.Error("loaded, and still told as refused")
	}
}

func TestFilesAreComparedAndARefusedConfigurationIsTriedAgain_X50(t *testing.T) {
	sum, refused, reloads := "a", false, 0
	c := &comparison{sum: func() string { return sum }, refused: func() bool { return refused }, reload: func() error { reloads++; return nil }}
	c.current()
	for i, step := range []struct {
		sum     string
		refused bool
		reloads int
	}{{"a", false, 0}, {"b", false, 1}, {"b", false, 1}, {"b", true, 2}, {"b", true, 3}, {"b", false, 3}} {
		sum, refused = step.sum, step.refused
		c.look()
		if reloads != step.reloads {
			t.Errorf("step %d: %d reloads, want %d", i, reloads, step.reloads)
		}
	}
}

// TestAFailedReloadShowsNoSecret_S19: its error is the answer of POST /-/reload, a line
// of the log and the reason of an alert that people are told.
func TestAFailedReloadShowsNoSecret_S19(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	now := time.Now()
	a := &App{o: Options{ConfigFile: write("watchdog.yaml", ""), Logger: slog.New(slog.NewTextHandler(&log, nil))}, clock: engine.HostClock(), metrics: newMetrics(prometheus.NewRegistry())}
	for name, text := range map[string]string{
		"a value of another kind":     "evaluation_interval: hunter2\nreceivers: {slack: {token: hunter2, channel: c}}\n",
		"a URL with a password":       "prometheus: {url: \"ftp://me:hunter2@p\"}\n",
		"what is built from the file": "targets: [{name: a, namespace: n, workload: deployment/a}]\njob_templates: {a: {file: job.yaml}}\n",
	} {
		write("watchdog.yaml", text)
		write("job.yaml", "kind: hunter2\nmetadata: {annotations: {token: hunter2}}\n")
		err := a.Reload()
		if err == nil {
			t.Fatalf("%s: it is taken", name)
		}
		alarm := a.refusal.alarm(now.Add(time.Hour))
		if said := err.Error() + log.String() + alarm.Reason; strings.Contains(said, "hunter") || !strings.Contains(said, "<hidden>") || !alarm.Firing {
			t.Errorf("%s: %s", name, said)
		}
		log.Reset()
	}
}
