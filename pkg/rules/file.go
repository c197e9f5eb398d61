package rules

import (
	"bytes"
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
)

// maxRuleFile is the largest rule file that is read.
const maxRuleFile = 8 << 20

// Group is one group of a Prometheus rule file: rules that are evaluated in
// order, at one moment, at an interval of their own.
type Group struct {
	Name string
	File string
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
	Rules []GroupRule
}

// GroupRule is an alerting or a recording rule of a group. Labels hold the
// group's labels too.
type GroupRule struct {
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

// ReadFile reads a Prometheus rule file, or a PrometheusRule manifest of the
// Prometheus Operator. The error joins everything that is wrong with it, each
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
	if err := oneDocument(path, text); err != nil {
		return nil, err
	}
	text, above, left, err := manifest(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	parsed, errs := rulefmt.Parse(text, false, model.UTF8Validation, newParser(), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		for i, e := range errs {
			errs[i] = fmt.Errorf("%s:%w", path, placed{e, above, left})
		}
		return nil, errors.Join(errs...)
	}
	lines := ruleLines(text)
	groups := make([]Group, 0, len(parsed.Groups))
	for gi, g := range parsed.Groups {
		next := Group{Name: g.Name, File: path, Source: source, Interval: time.Duration(g.Interval), Limit: g.Limit}
		if g.QueryOffset != nil {
			next.QueryOffset = time.Duration(*g.QueryOffset)
		}
		for ri, r := range g.Rules {
			rule := GroupRule{
				Record: r.Record, Alert: r.Alert, Expr: r.Expr, For: time.Duration(r.For), KeepFiringFor: time.Duration(r.KeepFiringFor),
				Labels: mergedLabels(g.Labels, r.Labels), Annotations: labels.FromMap(r.Annotations),
			}
			if gi < len(lines) && ri < len(lines[gi]) {
				rule.Line = lines[gi][ri] + above
			}
			next.Rules = append(next.Rules, rule)
		}
		groups = append(groups, next)
	}
	if errs := checkGroups(groups); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return groups, nil
}

// checkGroups finds what rulefmt lets pass and an evaluation could not do.
func checkGroups(groups []Group) []error {
	var errs []error
	for _, g := range groups {
		for _, r := range g.Rules {
			bad := func(format string, args ...any) {
				errs = append(errs, fmt.Errorf("%s:%d: group %q, %q: %w", g.File, r.Line, g.Name, r.Alert+r.Record, fmt.Errorf(format, args...)))
			}
			tree, err := newParser().ParseExpr(r.Expr)
			if err != nil {
				bad("could not parse expression: %w", err)
				continue
			}
			if t := tree.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
				bad("the expression gives a %s; a rule needs a vector or a scalar", t)
			}
		}
	}
	return errs
}

// oneDocument refuses a file with a second document: Prometheus would not read it.
func oneDocument(path string, text []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var n yaml.Node
	if err := dec.Decode(&n); err != nil {
		return nil // rulefmt says what is wrong, with its place
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		return fmt.Errorf("%s:%d:%d: more than one YAML document; a rule file is one", path, max(1, second.Line), max(1, second.Column))
	}
	return nil
}

// manifest takes the rules out of a PrometheusRule manifest; any other text is
// returned as it is. above and left are by how many lines and columns the rules'
// text begins later than the file's.
func manifest(text []byte) (rules []byte, above, left int, err error) {
	var doc struct {
		Kind string    `yaml:"kind"`
		Spec yaml.Node `yaml:"spec"`
	}
	if yaml.Unmarshal(text, &doc) != nil || doc.Kind == "" {
		return text, 0, 0, nil
	}
	if doc.Kind != "PrometheusRule" {
		return nil, 0, 0, fmt.Errorf("the manifest is a %s; a rule file is a Prometheus rule file or a PrometheusRule", doc.Kind)
	}
	if doc.Spec.Kind != yaml.MappingNode {
		return nil, 0, 0, errors.New("the PrometheusRule has no spec")
	}
	if doc.Spec.Style&yaml.FlowStyle != 0 {
		out, err := yaml.Marshal(&doc.Spec)
		return out, 0, 0, err
	}
	// The lines of the spec as they stand, so that places in them can be named.
	lines := strings.SplitAfter(string(text), "\n")
	from, indent := doc.Spec.Line-1, doc.Spec.Column-1
	to := from
	for to < len(lines) && (blank(lines[to]) || indented(lines[to], indent)) {
		to++
	}
	var b strings.Builder
	for _, l := range lines[from:to] {
		b.WriteString(l[min(indent, len(l)-len(strings.TrimLeft(l, " "))):])
	}
	return []byte(b.String()), from, indent, nil
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

// mergedLabels are a group's labels with the rule's own over them.
func mergedLabels(group, rule map[string]string) labels.Labels {
	b := labels.NewBuilder(labels.FromMap(group))
	for k, v := range rule {
		b.Set(k, v)
	}
	return b.Labels()
}

// Reach returns how far back the group's expressions look into the samples.
func (g Group) Reach() time.Duration {
	furthest := time.Duration(0)
	for _, r := range g.Rules {
		if tree, err := newParser().ParseExpr(r.Expr); err == nil {
			furthest = max(furthest, reach(tree)+g.QueryOffset)
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
