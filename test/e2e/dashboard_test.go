//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/dashboard"
	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/incident"
)

// idle are panels that rightly show nothing in this test's world.
var idle = map[string]string{
	"Alertmanager webhooks": "nobody posts here; TestFromScrapeToResolved does",
	"CPU":                   "the testbed's pods have no /proc",
	"Memory":                "the testbed's pods have no /proc",
}

// TestTheDashboardShowsAnIncident: a real Prometheus scrapes a live watchdog that
// rolls a bad release back. Every query of the dashboard gives data, and what is
// exported is documented.
func TestTheDashboardShowsAnIncident(t *testing.T) {
	s := stage(t, "dashboard")
	// A group of rules, so that the panels of groups have something to show.
	s.Values = map[string]any{"extraFiles": map[string]any{"rules.yaml": "groups: [{name: g, rules: [{alert: Down, " +
		"expr: probe_success == 0, for: 1h}]}]"}}
	installText(t, s, config(t, s, "release")+"\nrule_files: [/etc/watchdog/rules.yaml]\n")
	good(t, s)
	dir, addr := t.TempDir(), free(t)
	var targets []string
	for _, ip := range pods(t, s) {
		targets = append(targets, fmt.Sprintf("%q", ip+":9096"))
	}
	write(t, filepath.Join(dir, "prometheus.yml"), fmt.Sprintf(`global: { scrape_interval: 1s }
scrape_configs:
  - { job_name: watchdog, static_configs: [{ targets: [%s] }] }
`, strings.Join(targets, ", ")))
	process(t, dir, "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path="+filepath.Join(dir, "tsdb"),
		"--web.listen-address="+addr)
	ready(t, "http://"+addr+"/-/ready")
	target, err := s.URL(t.Context(), "/work")
	if err != nil {
		t.Fatal(err)
	}
	s.Load = demo.StartLoad(target, 8, 100*time.Millisecond)
	if err := s.Release(t.Context(), "v2.2.0"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitIncident(within(t, 2*time.Minute), "resolved after a rollback", func(i incident.Incident) bool {
		return i.Target.Name == "agent-system" && i.Phase == incident.Resolved && len(i.Attempts) > 0
	}); err != nil {
		t.Fatal(err)
	}
	for _, r := range dashboard.Rows() {
		for _, p := range r.Panels {
			for _, q := range p.Queries {
				expr := strings.NewReplacer("$job", ".+", "$instance", ".+", "$__rate_interval", "1m").Replace(q.Full())
				shows := func() bool { return points(t, addr, expr) > 0 }
				switch {
				case idle[p.Title] != "":
					shows() // it must be valid all the same
				default:
					until(t, fmt.Sprintf("%s: %s to give data", p.Title, expr), 20*time.Second, shows)
				}
			}
		}
	}
	documented(t, s)
}

// points asks for the last five minutes and returns how many points there are.
func points(t *testing.T, addr, expr string) int {
	t.Helper()
	now := time.Now()
	text := fetch(t, fmt.Sprintf("http://%s/api/v1/query_range?query=%s&start=%d&end=%d&step=5", addr,
		url.QueryEscape(expr), now.Add(-5*time.Minute).Unix(), now.Unix()))
	var doc struct {
		Status, Error string
		Data          struct{ Result []struct{ Values []any } }
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || doc.Status != "success" {
		t.Fatalf("%s: %v: %s", expr, err, text)
	}
	n := 0
	for _, s := range doc.Data.Result {
		n += len(s.Values)
	}
	return n
}

var (
	typed = regexp.MustCompile(`(?m)^# TYPE (\S+) \S+$`)
	row   = regexp.MustCompile("(?m)^\\| `([a-z_:]+)`")
)

// documented compares what the live replicas export with docs/metrics.md.
func documented(t *testing.T, s *demo.Scene) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		known[m[1]] = true
	}
	for _, ip := range pods(t, s) {
		for _, m := range typed.FindAllStringSubmatch(fetch(t, "http://"+ip+":9096/metrics"), -1) {
			if name := m[1]; !known[name] && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") &&
				!strings.HasPrefix(name, "promhttp_") {
				t.Errorf("docs/metrics.md does not have %s", name)
				known[name] = true
			}
		}
	}
}
