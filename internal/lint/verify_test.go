package lint

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"watchdog.io/watchdog/pkg/config"
)

// TestAnEffectIsNotJudgedTooEarly_X14: by hand only; what the file leaves open follows the expression.
func TestAnEffectIsNotJudgedTooEarly_X14(t *testing.T) {
	for _, tc := range []struct {
		name, rung string
		found      bool
	}{
		{"left open", "rollback", false},
		{"too short", "{rollback: {verify: 10m}}", true},
		{"just long enough", "{rollback: {verify: 2h}}", false},
	} {
		file := filepath.Join(t.TempDir(), "w.yaml")
		text := "targets: [{name: cart, namespace: shop, workload: deployment/cart, probes: [{http: {url: " +
			"'http://cart.shop/'}}]}]\nprometheus: {url: 'http://p:9090'}\n" +
			"thresholds: [{name: burn, source: prometheus, expr: 'sum by (target) (rate(e[1h]))', above: 0.1, for: " +
			"2m, severity: P1, ladder: [" + tc.rung + ", page]}]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		all, err := Check(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if found := slices.ContainsFunc(all,
			func(f Finding) bool { return f.Lint == "short-verify" }); found != tc.found {
			t.Errorf("%s: found %v, want %v: %v", tc.name, found, tc.found, all)
		}
	}
}
