package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/policy"
)

const routedConfig = `
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

const routedRules = `
groups:
  - name: shop
    rules:
      - {alert: Down, expr: "up == 0", labels: {team: shop, severity: critical}}
      - {alert: Slow, expr: "slow > 1", labels: {severity: warning}}
`

func policyOf(t *testing.T, conf, ruleFile string) (*built, error) {
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
	p, err := policy.New(cfg)
	return &built{Policy: p, cfg: cfg}, err
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
