// Package policyfile is the configuration that tests of several packages share: two targets,
// a rule file with two alerts, and routes that say what is done about them.
package policyfile

import (
	"os"
	"path/filepath"
	"testing"

	"watchdog.io/watchdog/pkg/config"
)

// Routed is a configuration whose alerts come from a rule file.
const Routed = `
mode: auto
targets:
  - {name: shop, namespace: prod, workload: deployment/shop, service: shop-web, mode: auto}
  - {name: cart, namespace: prod, workload: statefulset/cart}
rule_files: ["*.rules"]
thresholds: []
routes:
  - matchers: [alertname=Down, team=~"web|shop"]
    severity: P0
    mode: auto
    ladder: [capture, restart, page]
    single_source: "it is down"
  - matchers: ['severity="critical"']
    ladder: [page]
`

// Rules is its rule file.
const Rules = `
groups:
  - name: shop
    rules:
      - {alert: Down, expr: "up == 0", labels: {team: shop, severity: critical}}
      - {alert: Slow, expr: "slow > 1", labels: {severity: warning}}
`

// Load writes a configuration and its rule file into a folder of the test and loads them.
func Load(t *testing.T, conf, ruleFile string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"watchdog.yaml": conf, "shop.rules": ruleFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "watchdog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
