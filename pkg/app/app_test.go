package app

import (
	"path/filepath"
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/config"
)

func load(t *testing.T, file string) *config.Config {
	t.Helper()
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryShippedExampleBuilds(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if err := Check(load(t, f)); err != nil && !strings.Contains(err.Error(), "ca.crt") {
			t.Errorf("%s: %v", f, err)
		}
	}
}
