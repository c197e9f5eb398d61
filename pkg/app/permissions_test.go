package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/fileutil"
	"watchdog.io/watchdog/pkg/outbox"
)

func TestADataFolderThatEverybodyMayWriteToIsRefusedOutsideOfPods_S21(t *testing.T) {
	for _, tc := range []struct {
		mode  os.FileMode
		inPod bool
		want  string
	}{
		{0o700, false, ""},
		{0o775, false, ""}, // a volume with an fsGroup
		{0o777, false, "chmod 0700"},
		{0o777, true, ""}, // an emptyDir
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, tc.mode); err != nil {
			t.Fatal(err)
		}
		err := fileutil.MakeData(dir, tc.inPod)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("mode %04o, in a pod: %t: %v, want %q", tc.mode, tc.inPod, err, tc.want)
		}
		if _, err := outbox.New(outbox.Options{Dir: filepath.Join(dir, "outbox"),
			Registerer: prometheus.NewRegistry()}); err != nil {
			t.Errorf("the outbox below it: %v", err)
		}
	}
	open := filepath.Join(t.TempDir(), "outbox")
	if err := os.MkdirAll(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := outbox.New(outbox.Options{Dir: open, Registerer: prometheus.NewRegistry()}); err == nil ||
		!strings.Contains(err.Error(), "may be written by others") {
		t.Errorf("an outbox that everybody may write to: %v", err)
	}
}

func TestSavedAlertsThatSomebodyElseMayHaveWrittenAreNotUsed_S21(t *testing.T) {
	a := &App{o: Options{DataDir: t.TempDir()}}
	for _, name := range []string{alertsFile, eventsFile} {
		path := filepath.Join(a.o.DataDir, name)
		if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range map[string]error{alertsFile: a.resumeAlerts(), eventsFile: a.resumeEvents()} {
		if err == nil || !strings.Contains(err.Error(), "may be written by others") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAConfigurationThatEverybodyMayWriteToIsNotUsed_S21(t *testing.T) {
	dir := t.TempDir()
	o := Options{ConfigFile: filepath.Join(dir, "watchdog.yaml"), DataDir: filepath.Join(dir, "data"),
		Kubeconfig: filepath.Join(dir, "none"), Logger: slog.New(slog.DiscardHandler)}
	if err := os.WriteFile(o.ConfigFile, []byte("targets: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(o.ConfigFile, 0o666); err != nil {
		t.Fatal(err)
	}
	want := "file is world-writable (mode 0666): run chmod o-w " + o.ConfigFile
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("at the start: %v", err)
	}
	if _, err := os.Stat(o.DataDir); !os.IsNotExist(err) {
		t.Errorf("the start went on: %v", err)
	}
	a := &App{o: o, clock: engine.HostClock(), metrics: newMetrics(prometheus.NewRegistry())}
	a.built.Store(&built{compiled: &compiled{cfg: &config.Config{}}})
	if err := a.Reload(); err == nil || !strings.Contains(err.Error(), want) || !a.refusal.Stands() {
		t.Errorf("on a reload: %v", err)
	}
}
