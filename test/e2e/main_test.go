//go:build integration

// Package e2e plays whole stories on the real control plane of testbed/. The
// witness is the API server's audit log and the recording receivers, not
// watchdog's own word.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/internal/demo"
)

var (
	tb   *demo.Testbed
	root string
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	var err error
	if root, err = filepath.Abs("../.."); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "watchdog-e2e-")
	if err != nil {
		return 1, err
	}
	if tb, err = demo.Up(context.Background(), root, dir, os.Stderr); err != nil {
		return 1, err
	}
	defer tb.Down()
	code := m.Run()
	if code == 0 {
		return code, os.RemoveAll(dir)
	}
	fmt.Fprintln(os.Stderr, "logs are kept in", dir)
	return code, nil
}

// stage is a scene of this test alone: the application in its good release.
func stage(t *testing.T, name string) *demo.Scene {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience*2*time.Minute)
	defer cancel()
	s, err := demo.NewScene(ctx, tb, root, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { strike(t, s) })
	return s
}

// strike takes the scene down again and, if the test failed, shows what watchdog logged.
func strike(t *testing.T, s *demo.Scene) {
	ctx, cancel := context.WithTimeout(context.Background(), patience*time.Minute)
	defer cancel()
	if t.Failed() {
		tail(t, s)
	}
	s.Close()
	// Its pods end before their rights do, so that no refusal at the very end looks like one in the middle.
	_, _ = s.Run(ctx, "", "kubectl", "-n", s.Watchdog, "scale", "deployment", "watchdog", "--replicas=0")
	_, _ = s.Run(ctx, "", "kubectl", "-n", s.Watchdog,
		"wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=watchdog", "--timeout=20s")
	if _, err := s.Run(ctx, "", "helm", "uninstall", "watchdog", "-n", s.Watchdog, "--ignore-not-found"); err != nil {
		t.Log(err)
	}
	for _, ns := range []string{s.Namespace, s.Watchdog} {
		_ = tb.Kube.CoreV1().Namespaces().Delete(ctx, ns, metav1.DeleteOptions{})
	}
}

func tail(t *testing.T, s *demo.Scene) {
	logs, _ := filepath.Glob(filepath.Join(tb.Dir, "logs", s.Watchdog+"_*"))
	for _, f := range logs {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		lines := strings.Split(string(b), "\n")
		t.Logf("%s:\n%s", filepath.Base(f), strings.Join(lines[max(0, len(lines)-60):], "\n"))
	}
}

// patience is how much slower than where the limits were written the machine may be.
// A limit only ends a wait for what does not come; it is no claim about speed.
const patience = 3

// within bounds one wait of a test.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience*d)
	t.Cleanup(cancel)
	return ctx
}
