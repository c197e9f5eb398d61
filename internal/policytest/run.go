package policytest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/junitxml"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
)

// Result is what became of a file of tests.
type Result struct {
	File  string
	Err   error // the file could not be read
	Cases []Case
}

// Case is what became of one test.
type Case struct {
	Name     string
	Failures []string
}

// Failed reports whether anything was not as expected.
func (r Result) Failed() bool {
	return r.Err != nil || slices.ContainsFunc(r.Cases, func(c Case) bool { return len(c.Failures) > 0 })
}

// Run runs the tests of a file whose name matches; nil: all.
func Run(ctx context.Context, path string, only *regexp.Regexp) Result {
	r := Result{File: path}
	f, err := Read(path)
	if err != nil {
		r.Err = err
		return r
	}
	for k := range f.Tests {
		t := &f.Tests[k]
		if only != nil && !only.MatchString(t.Name) {
			continue
		}
		r.Cases = append(r.Cases, Case{Name: t.Name, Failures: f.run(ctx, t)})
	}
	return r
}

// failures collects what was not as expected.
type failures []string

func (f *failures) add(at model.Duration, format string, args ...any) {
	*f = append(*f, fmt.Sprintf("at %s: ", at)+fmt.Sprintf(format, args...))
}

func (f *File) run(ctx context.Context, t *Test) []string {
	var all failures
	if len(t.AlertRuleTests)+len(t.ExprTests) > 0 || len(t.Watchdog) == 0 {
		all = append(all, f.rules(ctx, t)...)
	}
	if len(t.Watchdog) > 0 {
		all = append(all, f.policy(t)...)
	}
	return all
}

// newParser is promtool's, with the features that are stable.
func newParser() parser.Parser { return promql.NewParser() }

// rules runs what promtool knows: the rule files, alone, as Prometheus evaluates them.
func (f *File) rules(ctx context.Context, t *Test) failures {
	var all failures
	every := time.Duration(cmp.Or(f.EvaluationInterval, model.Duration(time.Minute)))
	in, err := load(t.InputSeries, t.begin(), time.Duration(t.Interval), newParser())
	if err != nil {
		return failures{err.Error()}
	}
	ask := promql.NewLocal(in, promql.LocalOptions{SubqueryInterval: every})
	groups, err := f.groups(t, in, ask)
	if err != nil {
		return failures{err.Error()}
	}
	last := t.begin()
	for _, x := range t.AlertRuleTests {
		last = later(last, t.begin().Add(time.Duration(x.EvalTime)))
	}
	for _, x := range t.ExprTests {
		last = later(last, t.begin().Add(time.Duration(x.EvalTime)))
	}
	tests := slices.Clone(t.AlertRuleTests)
	slices.SortStableFunc(tests, func(a, b AlertTest) int { return cmp.Compare(a.EvalTime, b.EvalTime) })
	var before []alertSeries
	for at := t.begin(); !at.After(last); at = at.Add(every) {
		in.now = at.UnixMilli()
		groups.EvalGroups(ctx, at)
		report := groups.Report()
		for _, g := range report {
			for _, r := range g.Rules {
				if r.Err != nil {
					return append(all, fmt.Sprintf("at %s: rule %s: %v", model.Duration(at.Sub(t.begin())),
						r.Alert+r.Record, r.Err))
				}
			}
		}
		before = in.writeAlerts(report, before, at)
		for len(tests) > 0 && time.Duration(tests[0].EvalTime) < at.Add(every).Sub(t.begin()) {
			f.alerts(&all, tests[0], report)
			tests = tests[1:]
		}
	}
	in.now = last.UnixMilli()
	for _, x := range t.ExprTests {
		f.expression(ctx, &all, t, x, ask)
	}
	return all
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// groups reads the rule files in the order of their evaluation.
func (f *File) groups(t *Test, in *samples, ask promql.QueryFunc) (*rules.Manager, error) {
	var all []rules.Group
	for _, path := range f.RuleFiles {
		groups, err := rules.ReadFile(path, rules.Prometheus) // all functions that a server may have
		if err != nil {
			return nil, err
		}
		for i := range groups {
			groups[i].Source = rules.Local
		}
		all = append(all, groups...)
	}
	order := func(g rules.Group) int { return max(0, slices.Index(f.GroupEvalOrder, g.Name)) }
	slices.SortStableFunc(all, func(a, b rules.Group) int { return cmp.Compare(order(a), order(b)) })
	m, err := rules.NewManager(rules.Options{
		Local: ask, Append: in.write, Interval: time.Duration(t.Interval), ExternalURL: t.ExternalURL,
		ExternalLabels: t.ExternalLabels, AsPrometheus: true,
		Target: func(labels.Labels) (string, bool) { return "", false },
	})
	if err == nil {
		_, err = m.Update(rules.Config{Groups: all})
	}
	return m, err
}

// WriteJUnit writes the results in the form of promtool's --junit.
func WriteJUnit(w io.Writer, all []Result) error {
	x := &junitxml.JUnitXML{}
	for _, r := range all {
		s := x.Suite(r.File)
		if r.Err != nil {
			s.Abort(r.Err)
		}
		for _, c := range r.Cases {
			tc := s.Case(c.Name)
			for _, text := range c.Failures {
				tc.Fail(text)
			}
		}
	}
	return x.WriteXML(w)
}

// Print writes the results for people.
func Print(w io.Writer, all []Result) {
	for _, r := range all {
		bad := 0
		for _, c := range r.Cases {
			if len(c.Failures) > 0 {
				bad++
			}
		}
		switch {
		case r.Err != nil:
			fmt.Fprintf(w, "%s: FAILED\n  %s\n", r.File, strings.ReplaceAll(r.Err.Error(), "\n", "\n  "))
		case bad == 0:
			fmt.Fprintf(w, "%s: ok, %s\n", r.File, count(len(r.Cases), "test"))
		default:
			fmt.Fprintf(w, "%s: FAILED, %d of %s\n", r.File, bad, count(len(r.Cases), "test"))
		}
		for _, c := range r.Cases {
			for _, text := range c.Failures {
				fmt.Fprintf(w, "  %s: %s\n", c.Name, strings.ReplaceAll(text, "\n", "\n    "))
			}
		}
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
