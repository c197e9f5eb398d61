package lint

import (
	"fmt"
	"slices"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/remediate"
)

// Finding is one thing that is probably not meant.
type Finding struct {
	Lint    string `json:"lint"`
	Where   string `json:"where"`   // threshold error_rate
	Message string `json:"message"` // what is wrong, and what to do
}

// String is one line.
func (f Finding) String() string { return fmt.Sprintf("%s: %s (%s)", f.Where, f.Message, f.Lint) }

// Lint is one kind of finding.
type Lint struct {
	Name, About string
	find        func(*checker)
}

// Lints are all that need no server, in order.
var Lints = []Lint{
	{"no-window", "an alert with an action that a single sample can trigger", (*checker).noWindow},
	{"no-floor", "a ratio of requests that leads to an action, without a minimum number of requests",
		(*checker).noFloor},
	{"oscillation", "a ladder that can scale up and down repeatedly", (*checker).oscillation},
	{"no-target", "a rule without targets, or a route that no alert matches", (*checker).noTarget},
	{"same-name", "a route that matches an alert with the name of a threshold", (*checker).sameName},
	{"no-target-label", "a route with actions for an alert whose expression drops all labels that identify a target",
		(*checker).noTargetLabel},
	{"always-firing", "an alert whose expression selects no series", (*checker).alwaysFiring},
	{"ignored-field", "a rule file field that only Thanos, Mimir or vmalert support", (*checker).ignoredField},
	{"unknown-metric", "an expression on metrics that neither a probe nor a rule produces", (*checker).unknownMetric},
	{"renamed-metric", "an expression on a metric of watchdog that has another name now", (*checker).renamedMetric},
	{"no-pager", "a ladder with page, or a P0 or P1 rule, without a receiver that pages", (*checker).noPager},
	{"no-channel", "a severity without a receiver, or P0 or P1 without a receiver that pages", (*checker).noChannel},
	{"unknown-severity", "an alert with an unknown severity, which counts as P2", (*checker).unknownSeverity},
	{"undefined-template", "a receiver text that calls an undefined template", (*checker).undefinedTemplate},
	{"short-verify", "a verification while the expression still covers the time before the action",
		(*checker).shortVerify},
	{"single-source", "a restart or rollback with a single source of evidence, or that waits for a second source " +
		"which does not exist", (*checker).singleSource},
	{"open-file", "a world-writable file, which `watchdog run` rejects, or a world-readable secret",
		(*checker).openFile},
}

type checker struct {
	cfg    *config.Config
	policy *policy.Policy
	lint   string
	found  []Finding
}

func (c *checker) add(where, format string, args ...any) {
	c.found = append(c.found, Finding{c.lint, where, fmt.Sprintf(format, args...)})
}

// Check returns what is found in a valid configuration, but for lints of those names.
func Check(cfg *config.Config, ignore []string) ([]Finding, error) {
	policy, err := policy.New(cfg)
	if err != nil {
		return nil, err
	}
	c := &checker{cfg: cfg, policy: policy}
	for _, l := range Lints {
		if !slices.Contains(ignore, l.Name) {
			c.lint = l.Name
			l.find(c)
		}
	}
	return c.found, nil
}

// acts reports whether a ladder writes anything.
func acts(ladder []config.Rung) bool {
	return slices.ContainsFunc(ladder, func(r config.Rung) bool { return remediate.ClassOf(r.Action) >= incident.C2 })
}

// destructive reports whether a ladder restarts, rolls back or does worse.
func destructive(ladder []config.Rung) bool {
	return slices.ContainsFunc(ladder, func(r config.Rung) bool { return remediate.ClassOf(r.Action) >= incident.C3 })
}

func (c *checker) threshold(name string) config.Threshold {
	k := slices.IndexFunc(c.cfg.Thresholds, func(t config.Threshold) bool { return t.Name == name })
	return c.cfg.Thresholds[k]
}
