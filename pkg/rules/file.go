package rules

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/promql"
)

// maxRuleFile is the largest rule file that is read.
const maxRuleFile = 8 << 20

// Group is one group of a Prometheus rule file: rules that are evaluated in
// order, at one moment, at an interval of their own.
type Group struct {
	Name string
	File string
	// Manifest is the namespace and name of the PrometheusRule that holds the group, in
	// a file of several; empty otherwise.
	Manifest string
	// Source is Local or Prometheus. Of a Prometheus source only the alerting rules
	// are evaluated: its recording rules are the server's own work.
	Source string
	// Interval between two evaluations; 0: the configuration's.
	Interval time.Duration
	// QueryOffset is how far in the past the expressions are evaluated.
	QueryOffset time.Duration
	// Limit is how many alerts or series one rule may give; 0: no limit. A rule that
	// gives more fails, and its alerts are forgotten, as in Prometheus.
	Limit int
	Rules []Rule
	// Ignored are the fields of the file that only siblings of Prometheus understand;
	// the first group of a file or manifest has them all.
	Ignored []Ignored
	// Staleness is the greatest age of a sample that may lead to an action. Default 2m; of
	// groups that ask a server 5m, for as long as that shows a series.
	Staleness time.Duration
}

// Rule is an alerting or a recording rule of a group. Labels hold the
// group's labels too.
type Rule struct {
	Record string // the name of the series it writes, or
	Alert  string // the name of the alert
	Expr   string
	// For is how long the expression must give a series before its alert fires;
	// KeepFiringFor how long the alert goes on after it gives it no more.
	For           time.Duration
	KeepFiringFor time.Duration
	Labels        labels.Labels
	Annotations   labels.Labels
	// Line is where the rule begins in the file.
	Line int
}

// ReadFile reads a Prometheus rule file, or PrometheusRule manifests of the
// Prometheus Operator: one, several documents, or a List. The error joins everything that is wrong with it, each
// with file, line, column, group and rule; of a file with an error nothing is
// returned.
func ReadFile(path, source string) ([]Group, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read rule file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRuleFile+1))
	if err != nil {
		return nil, fmt.Errorf("read rule file %s: %w", path, err)
	}
	return ParseFile(path, text, source)
}

// ParseFile is ReadFile of a text that is already there.
func ParseFile(path string, text []byte, source string) ([]Group, error) {
	if len(text) > maxRuleFile {
		return nil, fmt.Errorf("%s: the rule file is larger than %d MiB", path, maxRuleFile>>20)
	}
	parts, err := sections(path, text)
	if err != nil {
		return nil, err
	}
	var groups []Group
	var errs []error
	for _, part := range parts {
		more, bad := part.parse(path, source)
		for i := range more {
			if len(parts) > 1 {
				more[i].Manifest = part.manifest
			}
			if slices.ContainsFunc(groups, func(g Group) bool { return g.key() == more[i].key() }) {
				bad = append(bad, fmt.Errorf("%s:%d: duplicate group %q in the PrometheusRule %s", path, part.root.Line,
					more[i].Name, part.manifest))
			}
		}
		groups, errs = append(groups, more...), append(errs, bad...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if errs := checkGroups(groups); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return groups, nil
}

// parse reads the section's groups.
func (s section) parse(path, source string) ([]Group, []error) {
	ignored, unknown := s.unknown(path)
	parsed, errs := rulefmt.Parse(s.text, true, model.UTF8Validation, promql.NewParser(), slog.New(slog.DiscardHandler))
	for i, e := range errs {
		errs[i] = fmt.Errorf("%s:%w", path, placed{e, s.above, s.left})
	}
	if errs = append(unknown, errs...); len(errs) > 0 {
		return nil, errs
	}
	lines := ruleLines(s.text)
	groups := make([]Group, 0, len(parsed.Groups))
	for gi, g := range parsed.Groups {
		next := Group{Name: g.Name, File: path, Source: source, Interval: time.Duration(g.Interval), Limit: g.Limit}
		if g.QueryOffset != nil {
			next.QueryOffset = time.Duration(*g.QueryOffset)
		}
		for ri, r := range g.Rules {
			rule := Rule{
				Record: r.Record, Alert: r.Alert, Expr: r.Expr, For: time.Duration(r.For),
				KeepFiringFor: time.Duration(r.KeepFiringFor),
				Labels:        labels.FromMap(merged(g.Labels, r.Labels)), Annotations: labels.FromMap(r.Annotations),
			}
			if gi < len(lines) && ri < len(lines[gi]) {
				rule.Line = lines[gi][ri] + s.above
			}
			next.Rules = append(next.Rules, rule)
		}
		groups = append(groups, next)
	}
	if len(groups) > 0 {
		groups[0].Ignored = ignored
	}
	return groups, nil
}

// checkGroups finds what rulefmt lets pass and an evaluation could not do.
func checkGroups(groups []Group) []error {
	var errs []error
	for _, g := range groups {
		for _, r := range g.Rules {
			bad := func(format string, args ...any) {
				errs = append(errs, fmt.Errorf("%s:%d: group %q, %q: %w", g.File, r.Line, g.Name, r.Alert+r.Record,
					fmt.Errorf(format, args...)))
			}
			tree, err := promql.NewParser().ParseExpr(r.Expr)
			if err != nil {
				bad("could not parse expression: %w", err)
				continue
			}
			if err := experimental(tree, g.Source); err != nil {
				bad("%w", err)
			}
			if t := tree.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
				bad("the expression gives a %s; a rule needs a vector or a scalar", t)
			}
		}
	}
	return errs
}

func blank(line string) bool {
	t := strings.TrimSpace(line)
	return t == "" || strings.HasPrefix(t, "#")
}

func indented(line string, by int) bool {
	return len(line)-len(strings.TrimLeft(line, " ")) >= by
}

// placed moves the place in front of an error of rulefmt to where it is in the
// file.
type placed struct {
	err         error
	above, left int
}

func (p placed) Error() string {
	text := p.err.Error()
	var line, column int
	if n, _ := fmt.Sscanf(text, "%d:%d:", &line, &column); n == 2 {
		rest := strings.SplitN(text, ":", 3)[2]
		if line == 0 {
			return rest // rulefmt does not know
		}
		return fmt.Sprintf("%d:%d:%s", line+p.above, column+p.left, rest)
	}
	if rest, ok := strings.CutPrefix(text, "yaml: unmarshal errors:\n  line "); ok {
		if n, _ := fmt.Sscanf(rest, "%d:", &line); n == 1 {
			_, rest, _ = strings.Cut(rest, ":")
			return fmt.Sprintf("%d:%s", line+p.above, rest)
		}
	}
	return " " + text
}

func (p placed) Unwrap() error { return p.err }

// ruleLines returns the line of each rule by group.
func ruleLines(text []byte) [][]int {
	var doc struct {
		Groups []struct {
			Rules []yaml.Node `yaml:"rules"`
		} `yaml:"groups"`
	}
	if yaml.Unmarshal(text, &doc) != nil {
		return nil
	}
	lines := make([][]int, len(doc.Groups))
	for i, g := range doc.Groups {
		for _, r := range g.Rules {
			lines[i] = append(lines[i], r.Line)
		}
	}
	return lines
}

// Reach returns how far back the group's expressions look into the samples.
func (g Group) Reach() time.Duration {
	furthest := time.Duration(0)
	for _, r := range g.Rules {
		if tree, err := promql.NewParser().ParseExpr(r.Expr); err == nil {
			furthest = max(furthest, promql.Reach(tree)+g.QueryOffset)
		}
	}
	return furthest
}

// AlertNames returns the names of the group's alerts, sorted.
func (g Group) AlertNames() []string {
	var names []string
	for _, r := range g.Rules {
		if r.Alert != "" {
			names = append(names, r.Alert)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
