package lint

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/promql"
)

const head = `
mode: auto
receivers: {pagerduty: {routing_key_file: /key}}
targets:
  - name: shop
    namespace: shop
    workload: deployment/shop
    probes:
      - health: {url: "http://shop/health"}
      - sla: {url: "http://shop/metrics/sla"}
`

func load(t *testing.T, text string, files map[string]string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "watchdog.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Each lint finds what it is for, and nothing in what differs from that by a little.
func TestLints(t *testing.T) {
	good := `thresholds: [{name: a, expr: "max by (target) (avg_over_time(watchdog_sla_error_ratio[$window]))", ` +
		`above: 5%, clear_below: 2%, for: 1m, min_rate: 1, severity: P1, ladder: [rollback, page]}]`
	with := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in %s", old, good)
		}
		return head + strings.Replace(good, old, new, 1)
	}
	receivers := func(block string) string {
		return strings.Replace(head+good, "receivers: {pagerduty: {routing_key_file: /key}}", "receivers: {"+block+"}",
			1)
	}
	file := func(routes string) string { return head + "thresholds: []\nrule_files: [r.yaml]\nroutes: " + routes }
	for name, c := range map[string]struct{ text, want string }{
		"all is well": {head + good, ""},
		"a single sample triggers the action": {file(`[{matchers: ['alertname="A"'], ladder: [restart, page]}]`),
			"no-window"},
		"one sample is told":  {file(`[{matchers: ['alertname="A"'], ladder: [page]}]`), ""},
		"no floor":            {with("min_rate: 1, ", ""), "no-floor"},
		"no floor, no action": {strings.Replace(with("min_rate: 1, ", ""), "rollback, ", "", 1), ""},
		"a short lease": {with("[rollback,", "[{scale: {by: 1, max: 5, lease: 5m}},"),
			"oscillation"},
		"a long lease": {with("[rollback,", "[{scale: {by: 1, max: 5, lease: 2h}},"), ""},
		"no room to recover": {strings.Replace(with("[rollback,",
			"[{scale: {by: 1, max: 5, lease: 2h}},"), "clear_below: 2%, ", "", 1), "oscillation"},
		"no such probe": {with("watchdog_sla_error_ratio", "watchdog_agents_active"),
			"no-target"},
		"nobody writes it": {with("watchdog_sla_error_ratio", "errors"), "unknown-metric"},
		"the server has it": {strings.Replace(with("watchdog_sla_error_ratio", "errors"), "name: a,",
			"name: a, source: prometheus,", 1) + "\nprometheus: {url: 'http://p'}", ""},
		"nobody is paged": {strings.Replace(head+good,
			"receivers: {pagerduty: {routing_key_file: /key}}", "receivers: {slack: {token_file: /t, channel: c}}", 1),
			"no-pager"},
		"nobody at all":   {receivers(""), "no-channel"},
		"a webhook pages": {receivers(`webhooks: [{name: jsm, url: "https://x"}]`), ""},
		"a fallback alone": {receivers(`slack: {token_file: /t, channel: c}, webhooks: [{name: jsm, url: "https://x",` +
			` fallback_for: slack}]`), "no-pager"},
		"P1 wakes nobody": {receivers(`pagerduty: {routing_key_file: /key, severities: [P0]}, slack: {token_file: ` +
			`/t, channel: c}`), "no-channel"},
		"P1 wakes one": {receivers(`pagerduty: {routing_key_file: /key, severities: [P0]}, webhooks: [{name: jsm,` +
			` url: "https://x", severities: [P1]}]`), ""},
		"nobody hears of P3": {strings.Replace(receivers(`pagerduty: {routing_key_file: /key}`),
			"severity: P1", "severity: P3", 1), "no-channel"},
		"an alert for nobody": {strings.Replace(file(`[{matchers: ['alertname="A"'], ladder: [page]}]`),
			"routing_key_file: /key", "routing_key_file: /key, severities: [P2]", 1), "no-channel"},
		"a mail tells of P3": {strings.Replace(receivers(`pagerduty: {routing_key_file: /key}, emails: [{name: m, `+
			`smarthost: "h:25", from: a@b.example, to: [a@b.example]}]`), "severity: P1", "severity: P3", 1), ""},
		"no second source": {strings.Replace(head+good,
			`      - health: {url: "http://shop/health"}`, "", 1), "single-source"},
		"one source by choice": {with("severity: P1,", "severity: P1, single_source: the edge counts,"),
			"single-source"},
		"a call of what nobody defines (X43)": {receivers(`pagerduty: {routing_key_file: /key, description: '{{ ` +
			`template "ours" . }}'}`), "undefined-template"},
		"a call of Alertmanager's own (X43)": {receivers(`pagerduty: {routing_key_file: /key, description: '{{ ` +
			`template "pagerduty.default.description" . }}'}`), ""},
		"a severity of another shop (X44)": {strings.NewReplacer("r.yaml", "odd.yaml", "routing_key_file: /key",
			"routing_key_file: /key, severities: [P2]").Replace(file(`[{matchers: ['alertname="A"'], ladder: [page]}]`)),
			"unknown-severity"},
		"a route gives it one (X44)": {strings.Replace(file(`[{matchers: ['alertname="A"'], severity: P0, ladder: `+
			`[page]}]`), "r.yaml", "odd.yaml", 1), ""},
		"a route named as a threshold (S01)": {head + "alertmanager: {senders: [{name: am, token_file: /t}]}\n" +
			good + "\nroutes: [{matchers: ['alertname=\"a\", team=\"x\"'], ladder: [page]}]", "same-name"},
		"a route for nobody": {file(`[{matchers: ['alertname="A"'], ladder: [page]}, {matchers: ['severity="info"'], ` +
			`ladder: [page]}]`), "no-target"},
		"routes for all": {file(`[{matchers: ['alertname="A"'], ladder: [page]}, {matchers: ['namespace="x"'], ladder: [page]}]`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"odd.yaml": `groups: [{name: g, rules: [{alert: A, expr: "probe_success == 0",` +
				` labels: {severity: sev1}}]}]`, "r.yaml": `groups: [{name: g, rules: [{alert: A, expr: ` +
				`"probe_success == 0", labels: {severity: critical}}]}]`}
			found, err := Check(load(t, c.text, files), nil)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range found {
				names = append(names, f.Lint)
				if f.Where == "" || f.Message == "" {
					t.Errorf("%+v", f)
				}
			}
			if want := strings.Fields(c.want); !slices.Equal(slices.Compact(names), want) {
				t.Errorf("found %v, want %v: %v", names, want, found)
			}
			if c.want != "" {
				if found, _ := Check(load(t, c.text, files), []string{c.want}); len(found) > 0 {
					t.Errorf("ignored and found all the same: %v", found)
				}
			}
		})
	}
}

func TestOnline(t *testing.T) {
	cfg := load(t, head+`
prometheus: {url: "http://p"}
thresholds:
  - {name: a, source: prometheus, expr: "sum by (target) (rate(here[5m])) / sum by (target) (rate(gone[5m]))",
      above: 5%, for: 1m, severity: P1, ladder: [page]}
`, nil)
	ask := func(_ context.Context, expr string, _ time.Time) ([]promql.Point, error) {
		if strings.Contains(expr, `"gone"`) {
			return nil, nil
		}
		return []promql.Point{{Value: 1}}, nil
	}
	found, err := CheckOnline(t.Context(), cfg, ask, time.Now())
	if err != nil || len(found) != 1 || !strings.Contains(found[0].Message, "gone") || found[0].Where != "threshold a" {
		t.Errorf("%v, %v", found, err)
	}
	down := func(context.Context, string, time.Time) ([]promql.Point, error) { return nil, promql.ErrSource }
	if _, err := CheckOnline(t.Context(), cfg, down, time.Now()); err == nil {
		t.Error("a server that does not answer was no error")
	}
}

func TestShippedRulesThatSeeNothingAreOneFinding(t *testing.T) {
	found, err := Check(load(t, "targets: [{name: shop, namespace: shop, workload: deployment/shop}]", nil),
		[]string{"single-source"})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range found {
		if f.Lint == "no-target" {
			n++
			for _, want := range []string{"response_time", "error_rate", "active_agents",
				"no target has a probe of kind agents, health, sla"} {
				if !strings.Contains(f.Message, want) {
					t.Errorf("no %q in %s", want, f.Message)
				}
			}
		}
	}
	if n != 1 {
		t.Errorf("%d findings: %v", n, found)
	}
}

// A ladder that waits for a second witness where none can come never acts.
func TestALadderThatCanNeverActIsFound_X91(t *testing.T) {
	const rule = "\nthresholds: [{metric: cpu, ladder: [restart, page]}]\nreceivers: {pagerduty: {routing_key_file: " +
		"/key}}\n"
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"Kubernetes is the only witness": {"targets: [{name: shop, namespace: shop, workload: deployment/shop}]" + rule,
			true},
		"a probe looks, too": {`targets: [{name: shop, namespace: shop, workload: deployment/shop, probes: [{http: ` +
			`{url: "http://shop/"}}]}]` + rule, false},
		"it is waived": {strings.Replace("targets: [{name: shop, namespace: shop, workload: "+
			"deployment/shop}]"+rule, "metric: cpu,", "metric: cpu, single_source: it is enough,", 1), false},
	} {
		found, err := Check(load(t, tt.text, nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(found,
			func(f Finding) bool { return f.Lint == "single-source" }); got != tt.want {
			t.Errorf("%s: found %v", name, found)
		}
	}
}
