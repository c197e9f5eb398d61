//go:build integration

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestTheChartIsTakenByTheAPIServer: lint, then every case of ci/ against the real
// schemas, unknown fields refused; and a value with a typing error is an error.
func TestTheChartIsTakenByTheAPIServer(t *testing.T) {
	chart := filepath.Join(root, "deploy", "helm", "watchdog")
	cases, err := filepath.Glob(filepath.Join(chart, "ci", "*.yaml"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		t.Run(filepath.Base(c), func(t *testing.T) {
			if out, err := tb.Run(t.Context(), "", "helm", "lint", "--strict", chart, "-f", c); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			out, err := tb.Run(t.Context(), "", "helm", "template", "watchdog", chart, "-n", "default", "-f", c,
				"--include-crds")
			if err != nil {
				t.Fatal(err)
			}
			// Objects of operators that are not installed here cannot be checked by this API server.
			var docs []string
			for d := range strings.SplitSeq(out, "\n---") {
				if !strings.Contains(d, "kind: ServiceMonitor") && !strings.Contains(d, "kind: PrometheusRule") {
					docs = append(docs, d)
				}
			}
			// Only the namespace default exists in this cluster.
			text := strings.NewReplacer("namespace: shop\n", "namespace: default\n", "namespace: data\n",
				"namespace: default\n").Replace(strings.Join(docs, "\n---"))
			if _, err := tb.Run(t.Context(), text,
				"kubectl", "apply", "--dry-run=server", "--validate=strict", "-f", "-"); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := tb.Run(t.Context(), "", "helm", "template", "watchdog", chart, "--set", "replicsa=3"); err == nil ||
		!strings.Contains(err.Error(), "replicsa") {
		t.Errorf("a misspelt value is taken: %v", err)
	}
}
