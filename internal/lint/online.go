package lint

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
)

// Online is the lint that asks the configured Prometheus.
var Online = Lint{Name: "missing-metric", About: "a metric that the configured Prometheus server does not have " +
	"(--online)"}

// CheckOnline asks the configured server for every metric that is asked of it.
func CheckOnline(ctx context.Context, cfg *config.Config, ask promql.QueryFunc, now time.Time) ([]Finding, error) {
	policy, err := policy.New(cfg)
	if err != nil {
		return nil, err
	}
	asked := map[string][]string{}
	note := func(where, expr string) {
		for _, m := range metrics(expr) {
			if !slices.Contains(asked[m], where) {
				asked[m] = append(asked[m], where)
			}
		}
	}
	for _, r := range policy.Rules {
		if r.Source == rules.Prometheus {
			note("threshold "+r.Name, r.Text())
		}
	}
	for _, g := range slices.Concat(policy.Groups, policy.SLOs) {
		for _, r := range g.Rules {
			if g.Source == rules.Prometheus && r.Record == "" {
				note(fmt.Sprintf("%s:%d", g.File, r.Line), r.Expr)
			}
		}
	}
	var found []Finding
	for _, m := range slices.Sorted(maps.Keys(asked)) {
		points, err := ask(ctx, fmt.Sprintf(`count(last_over_time({__name__=%q}[1h]))`, m), now)
		if err != nil {
			return found, err
		}
		if len(points) == 0 {
			found = append(found, Finding{Online.Name, strings.Join(asked[m], ", "),
				fmt.Sprintf("the server has no series %s in the last hour", m)})
		}
	}
	return found, nil
}
