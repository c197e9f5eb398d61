//go:build integration

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

// block returns the fenced block of the README that holds all the words.
func block(t *testing.T, words ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
next:
	for _, m := range regexp.MustCompile("(?s)```[a-z]*\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for _, w := range words {
			if !strings.Contains(m[1], w) {
				continue next
			}
		}
		return m[1]
	}
	t.Fatalf("README.md has no block with %q", words)
	return ""
}

// pushAs puts what is watchdog:dev into the testbed's registry under another name.
func pushAs(t *testing.T, name string) {
	t.Helper()
	file := filepath.Join(tb.Dir, "images.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &images); err != nil {
		t.Fatal(err)
	}
	images[name] = images["watchdog:dev"]
	if text, err = json.MarshalIndent(images, "", "  "); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".new", text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until what is asked says yes; what it said last is the error.
func eventually(t *testing.T, d time.Duration, what string, ask func(ctx context.Context) (said string, ok bool)) {
	t.Helper()
	ctx := within(t, d)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		said, ok := ask(ctx)
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %s; last:\n%s", what, patience*d, said)
		}
	}
}

// TestTheInstallOfTheReadme: every line of the README's install, as it is written but
// for what the testbed needs, in its order; then the same without the Secret.
func TestTheInstallOfTheReadme(t *testing.T) {
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, []byte(block(t, "config:", "existingSecret")), 0o600); err != nil {
		t.Fatal(err)
	}
	image := regexp.MustCompile(`make image\s+# (\S+)`).FindStringSubmatch(block(t, "make image"))
	if image == nil {
		t.Fatal("the README does not say what `make image` builds")
	}
	pushAs(t, image[1])
	run := func(args ...string) string {
		t.Helper()
		out, err := tb.Run(within(t, 3*time.Minute), "", args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run("kubectl", "create", "namespace", "shop") // somebody's
	for _, tc := range []struct {
		namespace string
		secret    bool
	}{{"watchdog-readme", true}, {"watchdog-readme-later", false}} {
		ns := tc.namespace
		secret := ""
		for line := range strings.Lines(block(t, "helm install", "kubectl create namespace")) {
			line = strings.ReplaceAll(strings.TrimSpace(line), "values.yaml", values)
			line = strings.ReplaceAll(strings.ReplaceAll(line, "-n watchdog ", "-n "+ns+" "),
				"create namespace watchdog", "create namespace "+ns)
			line = strings.ReplaceAll(line, "deploy/helm/watchdog", filepath.Join(root, "deploy", "helm", "watchdog"))
			args := strings.Fields(line)
			switch {
			case args[0] == "watchdog":
				if out, err := tb.Watchdog(t.Context(), args[1:]...); err != nil {
					t.Fatal(out, err)
				}
			case strings.Contains(line, "create secret") && !tc.secret:
				secret = line
			case args[0] == "helm":
				// Pods of the testbed share a network, so that each listens at its own address.
				run(append(args, "--set", "listenAddress=$(POD_IP):9095")...)
			default:
				run(args...)
			}
		}
		// What the next lines of the README show.
		out, err := tb.Watchdog(t.Context(), "status", "-n", ns)
		if err != nil || !strings.Contains(out, "leader      watchdog-") || strings.Contains(out, "REFUSED") {
			t.Errorf("status: %v\n%s", err, out)
		}
		if !tc.secret {
			run(strings.Fields(secret)...)
			eventually(t, 3*time.Minute, "both pods have the files of the Secret that was made later",
				func(context.Context) (string, bool) {
					found, _ := filepath.Glob(filepath.Join(tb.Dir,
						"roots", "*", "watchdog", "etc", "watchdog", "secrets", "slack", "token"))
					return fmt.Sprint(found), len(found) >= 2
				})
			run("kubectl", "-n", ns, "rollout", "status", "deployment/watchdog", "--timeout=60s")
		}
		// Its pods end before their rights do: see strike.
		run("kubectl", "-n", ns, "scale", "deployment", "watchdog", "--replicas=0")
		run("kubectl", "-n", ns, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=watchdog",
			"--timeout=60s")
		run("helm", "uninstall", "watchdog", "-n", ns, "--wait")
		run("kubectl", "delete", "namespace", ns, "--wait=false")
	}
	run("kubectl", "delete", "namespace", "shop", "--wait=false")
}

// TestAWrongNamespaceIsNotQuiet_A2: reads create nothing, and say where watchdog is.
func TestAWrongNamespaceIsNotQuiet_A2(t *testing.T) {
	s := stage(t, "wrong-ns")
	install(t, s, "agents")
	for _, args := range [][]string{{"status"}, {"incidents"}, {"hold", "--all", "--reason", "x"}} {
		out, err := tb.Watchdog(t.Context(), append(args, "-n", "default")...)
		if err == nil || !strings.Contains(out, "watchdog is not installed in namespace default") ||
			!strings.Contains(out, s.Watchdog) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	if out, err := tb.Run(t.Context(), "", "kubectl", "-n", "default", "get", "ledgers", "-o", "name"); err != nil ||
		strings.TrimSpace(out) != "" {
		t.Errorf("a read created %q (%v)", out, err)
	}
}

// TestARefusedConfigurationIsLoud_A5: helm says "deployed", and everybody else says
// that the configuration was refused; with the check helm says so itself.
func TestARefusedConfigurationIsLoud_A5(t *testing.T) {
	s := stage(t, "refused")
	install(t, s, "agents")
	bad := replaced(t, config(t, s, "agents"), "workload: deployment/agent-system",
		"workload: statefulset/agent-system")
	s.Values = map[string]any{"check": map[string]any{"enabled": true, "strict": false}}
	if err := s.InstallWatchdog(within(t, 3*time.Minute), bad, quickLease...); err == nil ||
		!strings.Contains(err.Error(), "pre-upgrade") {
		t.Errorf("the check lets it pass: %v", err)
	}
	if out, err := tb.Run(t.Context(), "", "kubectl", "-n", s.Watchdog,
		"get", "configmap", "watchdog", "-o", "yaml"); err != nil || strings.Contains(out, "statefulset/agent-system") {
		t.Errorf("the refused configuration is installed: %v\n%s", err, out)
	}
	s.Values = nil
	installText(t, s, bad)
	eventually(t, 3*time.Minute, "status says that it is refused", func(ctx context.Context) (string, bool) {
		out, _ := tb.Watchdog(ctx, "status", "-n", s.Watchdog)
		first, _, _ := strings.Cut(out, "\n")
		return out, strings.HasPrefix(first, "config      REFUSED") && strings.Contains(first, "Deployments only")
	})
	eventually(t, time.Minute, "an Event on the Deployment", func(ctx context.Context) (string, bool) {
		out, _ := tb.Run(ctx, "", "kubectl", "-n", s.Watchdog, "describe", "deployment", "watchdog")
		return out, strings.Contains(out, "Warning") && strings.Contains(out, incident.ConfigRefused)
	})
	if err := s.Receivers.WaitFor(within(t, time.Minute), func(x recorders.Snapshot) bool {
		for _, q := range x.Requests {
			if q.Receiver == recorders.Slack && strings.Contains(string(q.Body), "refused") {
				return true
			}
		}
		return false
	}); err != nil {
		t.Error("Slack was not told:", err)
	}
	// It ends by itself with a configuration that is loaded.
	install(t, s, "agents")
	eventually(t, 3*time.Minute, "status is quiet again", func(ctx context.Context) (string, bool) {
		out, err := tb.Watchdog(ctx, "status", "-n", s.Watchdog)
		return out, err == nil && !strings.Contains(out, "REFUSED")
	})
	wantEffects(t, s, 0)
}

// TestASecondReleaseInANamespace_X52: it does not become ready, says why, and leaves
// what the first one has alone.
func TestASecondReleaseInANamespace_X52(t *testing.T) {
	s := stage(t, "second")
	install(t, s, "agents")
	chart := filepath.Join(root, "deploy", "helm", "watchdog")
	if _, err := tb.Run(within(t, 2*time.Minute), "", "helm", "install", "other", chart, "-n", s.Watchdog,
		"--set", "image.repository=watchdog", "--set", "image.tag=dev", "--set", "listenAddress=$(POD_IP):9095",
		"--wait", "--timeout", "20s"); err == nil {
		t.Error("the second release became ready")
	}
	eventually(t, time.Minute, "it says why", func(ctx context.Context) (string, bool) {
		out, _ := tb.Run(ctx, "", "kubectl", "-n", s.Watchdog,
			"logs", "-l", "app.kubernetes.io/instance=other", "--tail=50")
		return out, strings.Contains(out, "belongs to the watchdog installation")
	})
	out, err := tb.Watchdog(t.Context(), "status", "-n", s.Watchdog)
	if err != nil || !strings.Contains(out, "leader      watchdog-") {
		t.Errorf("who leads: %v\n%s", err, out)
	}
	if _, err := tb.Run(within(t, time.Minute), "", "helm", "uninstall", "other", "-n", s.Watchdog); err != nil {
		t.Error(err)
	}
	wantEffects(t, s, 0)
}

// TestPasswordsOnThePagesDoNotKillThePods_X53: the kubelet has no password.
func TestPasswordsOnThePagesDoNotKillThePods_X53(t *testing.T) {
	s := stage(t, "web")
	if _, err := tb.Run(t.Context(), "", "kubectl", "create", "namespace", s.Watchdog); err != nil {
		t.Fatal(err)
	}
	// The hash is bcrypt's of "right".
	if _, err := tb.Run(t.Context(), "", "kubectl", "-n", s.Watchdog,
		"create", "secret", "generic", "web",
		"--from-literal=web-config.yml=basic_auth_users: { am: "+
			"$2a$04$EYckXo.i17n5FN4jdYZ7MeOHl8xzNc7qEAOFhiYqRXSWf/1jyiOlu }"); err != nil {
		t.Fatal(err)
	}
	install(t, s, "agents", "web.existingSecret=web")
	out, err := tb.Watchdog(t.Context(), "status", "-n", s.Watchdog)
	if err != nil || !strings.Contains(out, "leader      watchdog-") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := tb.Run(t.Context(), "", "kubectl", "-n", s.Watchdog,
		"get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}"); err != nil ||
		strings.Trim(out, "0 \n") != "" {
		t.Errorf("restarts: %s %v", out, err)
	}
}
