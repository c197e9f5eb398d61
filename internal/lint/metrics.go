package lint

import (
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
)

// everywhere are the beginnings of the metrics of watchdog's own that every target has.
var everywhere = []string{"watchdog_workload_", "watchdog_probe_", "probe_", "watchdog_slo_", "ALERTS",
	"watchdog_incident"}

// writers says which kinds of probes write a metric, none if every target has it; false: nothing does.
func writers(metric string) ([]string, bool) {
	begins := func(prefix string) bool { return strings.HasPrefix(metric, prefix) }
	for _, k := range probes.Kinds() {
		if slices.ContainsFunc(k.Writes, begins) {
			return []string{k.Name}, true
		}
	}
	return nil, metric == "up" || slices.ContainsFunc(everywhere, begins)
}

// metrics are the names that an expression selects.
func metrics(expr string) []string {
	names, _ := promql.Metrics(expr)
	return names
}

// needsSeries: a matcher on a label that the series give, not the rule.
func needsSeries(text string) bool {
	all, err := config.ParseMatchers(text)
	return err == nil && slices.ContainsFunc(all, func(m *labels.Matcher) bool {
		return m.Name != model.AlertNameLabel && m.Name != "severity"
	})
}

func (c *checker) unknownMetric() {
	recorded := map[string]bool{}
	for _, g := range slices.Concat(c.policy.Groups, c.policy.SLOs) {
		for _, r := range g.Rules {
			recorded[r.Record] = true
		}
	}
	unknown := func(expr string) []string {
		return slices.DeleteFunc(metrics(expr), func(m string) bool {
			_, known := writers(m)
			return known || recorded[m]
		})
	}
	for _, r := range c.policy.Rules {
		if r.Source == rules.Local {
			for _, m := range unknown(r.Text()) {
				c.add("threshold "+r.Name,
					"no probe produces %s, so the embedded engine has no data for it; use `source: prometheus` to "+
						"query your server", m)
			}
		}
	}
	c.unknownInFiles(unknown)
}
