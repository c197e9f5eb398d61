package dashboard

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/prometheus/promql/parser"

	"watchdog.io/watchdog/pkg/promql"
)

var update = flag.Bool("update", false, "write the chart's dashboard anew")

const file = "../../deploy/helm/watchdog/dashboards/watchdog.json"

// What the chart ships is what this package writes: go test ./internal/dashboard -update
func TestTheChartHasThisDashboard(t *testing.T) {
	want, err := JSON()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is stale (%v): go test ./internal/dashboard -update", file, err)
	}
}

// The rules of grafana/dashboard-linter that concern Prometheus, as far as they do
// not hold by construction.
func TestPanels(t *testing.T) {
	titles := map[string]bool{}
	for _, r := range Rows() {
		for _, p := range r.Panels {
			if p.Title == "" || p.About == "" || p.Unit == "" || titles[p.Title] || len(p.Queries) == 0 ||
				p.Kind != "timeseries" && p.Kind != "stat" {
				t.Errorf("%+v", p)
			}
			titles[p.Title] = true
			for _, q := range p.Queries {
				if q.Legend == "" {
					t.Errorf("%s: a query without a legend", p.Title)
				}
				query(t, p.Title, q)
			}
		}
	}
}

// process are the metrics that every process on Linux has.
func process(t *testing.T) map[string]bool {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range all {
		names[f.GetName()] = true
	}
	return names
}

func metrics(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

func query(t *testing.T, title string, q Query) {
	t.Helper()
	tree, err := promql.NewParser().ParseExpr(strings.ReplaceAll(q.Full(), "$__rate_interval", "5m"))
	if err != nil {
		t.Errorf("%s: %v", title, err)
		return
	}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		has := map[string]bool{}
		for _, m := range v.LabelMatchers {
			has[m.Name+m.Type.String()+m.Value] = true
		}
		if name := strings.TrimSuffix(v.Name, "_bucket"); !process(t)[name] &&
			!strings.Contains(metrics(t), "| `"+name+"` |") {
			t.Errorf("%s: docs/metrics.md has no %s", title, name)
		}
		if !has["job=~$job"] || !has["instance=~$instance"] {
			t.Errorf("%s: %s does not choose job and instance", title, v)
		}
		return nil
	})
	if strings.Contains(q.Expr, "[") && !strings.Contains(q.Expr, "[$__rate_interval]") {
		t.Errorf("%s: %s has a fixed range", title, q.Expr)
	}
	if counter := strings.Contains(q.Expr, "_total{"); counter && !strings.Contains(q.Expr, "rate(") &&
		!strings.Contains(q.Expr, "increase(") {
		t.Errorf("%s: %s shows a bare counter", title, q.Expr)
	}
}
