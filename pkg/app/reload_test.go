package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
)

const kubeconfig = `{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c",` +
	`"cluster":{"server":%q}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}],"users":[{"name":"c",` +
	`"user":{}}]}`

const beforeReload = `
mode: observe
targets:
  - {name: shop, namespace: prod, workload: deployment/shop, probes: [{tcp: {address: "127.0.0.1:1"}}]}
rule_files: ["old.rules"]
thresholds:
  - {name: old, expr: x, above: 1, for: 1m, severity: P1, ladder: [page]}
`

const afterReload = `
mode: observe
targets:
  - {name: cart, namespace: prod, workload: deployment/cart, probes: [{tcp: {address: "127.0.0.1:2"}}]}
rule_files: ["new.rules"]
thresholds:
  - {name: new, expr: y, above: 1, for: 1m, severity: P1, ladder: [page]}
`

// reloading is a program that has taken beforeReload up and asks no cluster.
func reloading(t *testing.T) *App {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"kubeconfig": fmt.Sprintf(kubeconfig, "http://127.0.0.1:1"), "watchdog.yaml": beforeReload,
		"old.rules": `groups: [{name: old, rules: [{alert: Old, expr: "up == 0", labels: {severity: critical}}]}]`,
		"new.rules": `groups: [{name: new, rules: [{alert: New, expr: "up == 0", labels: {severity: critical}}]}]`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := newApp(Options{
		ConfigFile: filepath.Join(dir, "watchdog.yaml"), DataDir: filepath.Join(dir, "data"), Namespace: "watchdog",
		Identity:   "w-1",
		Kubeconfig: filepath.Join(dir, "kubeconfig"), Logger: slog.New(slog.DiscardHandler),
	}, 15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.ingester.Close(); _ = a.record.Close() })
	cfg, err := config.Load(a.o.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.use(cfg); err != nil {
		t.Fatal(err)
	}
	return a
}

// inUse is what of a configuration is in use: in what is asked for it, in the rules, in the
// groups and in the probes.
func inUse(a *App) string {
	all := []string{"pointer: " + a.built.Load().cfg.Targets[0].Name}
	for _, target := range []string{"shop", "cart"} {
		for _, x := range a.rules.AlertsOf(target) {
			all = append(all, "threshold: "+x.Rule+" of "+target)
		}
	}
	for _, g := range a.rules.Report() {
		all = append(all, "group: "+g.Name)
	}
	for _, s := range a.looks.States() {
		all = append(all, "probe: "+s.Target)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

const (
	oldInUse = "group: old, group: thresholds, pointer: shop, probe: shop, threshold: old of shop, threshold: " +
		"unseen of shop"
	newInUse = "group: new, group: thresholds, pointer: cart, probe: cart, threshold: new of cart, threshold: " +
		"unseen of cart"
)

func TestAReloadThatFailsAtItsLastStepChangesNothing(t *testing.T) {
	for name, spoil := range map[string]func(a *App, cfg *config.Config){
		"what the file says cannot be compiled": func(_ *App, cfg *config.Config) { cfg.Thresholds[0].Expr = "(" },
		"a threshold asks nobody": func(_ *App,
			cfg *config.Config) {
			cfg.Thresholds[0].Source = "elsewhere"
		},
		"a probe is there twice": func(_ *App, cfg *config.Config) {
			cfg.Targets[0].Probes = append(cfg.Targets[0].Probes, cfg.Targets[0].Probes[0])
		},
		"the interval changes": func(_ *App,
			cfg *config.Config) {
			cfg.EvaluationInterval = model.Duration(time.Minute)
		},
		"it cannot be recorded, at last": func(a *App, _ *config.Config) { _ = a.record.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			a := reloading(t)
			if got := inUse(a); got != oldInUse {
				t.Fatalf("before: %s", got)
			}
			before := a.built.Load()
			cfg := changed(t, a)
			spoil(a, cfg)
			if err := a.use(cfg); err == nil {
				t.Fatal("it is taken up")
			}
			if got := inUse(a); got != oldInUse || a.built.Load() != before {
				t.Errorf("after: %s", got)
			}
		})
	}
}

// Until it is swapped nothing is different, and the swap has no error to return.
func TestAConfigurationIsTakenUpAtOnce(t *testing.T) {
	a := reloading(t)
	swap, err := a.prepare(changed(t, a))
	if err != nil {
		t.Fatal(err)
	}
	if got := inUse(a); got != oldInUse {
		t.Errorf("prepared: %s", got)
	}
	swap()
	if got := inUse(a); got != newInUse {
		t.Errorf("swapped: %s", got)
	}
}

// changed is the configuration after it was changed.
func changed(t *testing.T, a *App) *config.Config {
	t.Helper()
	if err := os.WriteFile(a.o.ConfigFile, []byte(afterReload), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(a.o.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
