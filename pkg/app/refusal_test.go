package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/engine"
)

func TestFilesAreComparedAndARefusedConfigurationIsTriedAgain_X50(t *testing.T) {
	sum, refused, reloads := "a", false, 0
	c := &comparison{sum: func() string { return sum }, refused: func() bool { return refused },
		reload: func() error { reloads++; return nil }}
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
	a := &App{o: Options{ConfigFile: write("watchdog.yaml", ""), Logger: slog.New(slog.NewTextHandler(&log, nil))},
		clock: engine.HostClock(), metrics: newMetrics(prometheus.NewRegistry())}
	for name, text := range map[string]string{
		"a value of another kind": "evaluation_interval: hunter2\nreceivers: {slack: {token: hunter2, channel: " +
			"c}}\n",
		"a URL with a password": "prometheus: {url: \"ftp://me:hunter2@p\"}\n",
		"what is built from the file": "targets: [{name: a, namespace: n, workload: deployment/a}]\njob_templates: " +
			"{a: {file: job.yaml}}\n",
	} {
		write("watchdog.yaml", text)
		write("job.yaml", "kind: hunter2\nmetadata: {annotations: {token: hunter2}}\n")
		err := a.Reload()
		if err == nil {
			t.Fatalf("%s: it is taken", name)
		}
		alarm := a.refusal.Alarm(now.Add(time.Hour))
		if said := err.Error() + log.String() + alarm.Reason; strings.Contains(said, "hunter") ||
			!strings.Contains(said, "<hidden>") || !alarm.Firing {
			t.Errorf("%s: %s", name, said)
		}
		log.Reset()
	}
}
