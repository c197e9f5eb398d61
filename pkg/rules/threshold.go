package rules

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Sources of a rule.
const (
	Local      = "local"      // the embedded engine over the probes' samples
	Prometheus = "prometheus" // a Prometheus-compatible server
)

// defaultStaleness is a rule's freshness limit unless it says otherwise.
const defaultStaleness = 2 * time.Minute

// defaultWindow is a rule's window unless it says otherwise.
const defaultWindow = 5 * time.Minute

// maxRuleTargets bounds the targets of one rule.
const maxRuleTargets = 100_000

// Threshold is an expression, a bound, and how long either side must hold.
type Threshold struct {
	// Name is unique.
	Name     string
	Severity string
	// Expr is PromQL that gives one value per label target; $window in it is
	// replaced by Window.
	Expr   string
	Window time.Duration // default 5m
	// Floor are traffic floors; below one of them the verdict is NO_DATA.
	Floor []FloorSpec
	// Source is Local (default) or Prometheus.
	Source string
	// SourceKind says what kind of witness speaks: probe, app, kubernetes or prometheus.
	SourceKind string
	// What names the value in reasons: "p95". Default: the rule's name.
	What string
	// Above: breach when the value is > Bound and on the clear side when it is
	// <= Clear. Otherwise breach when < Bound and on the clear side when >= Clear.
	Above bool
	Bound float64
	Clear float64
	// Unit is seconds, ratio, or any word for a plain number; it only shapes texts.
	Unit string
	// For is how long a breach must be seen before the alert fires; ClearFor how
	// long the clear side must be seen before it stops.
	For      time.Duration
	ClearFor time.Duration
	// Targets are the expected targets. One without a series is NO_DATA; series
	// of other targets are ignored.
	Targets []string
	// Staleness is the greatest age of the newest sample used. Default 2m; of a rule that
	// asks a server 5m, for as long as that shows a series (X10). It is also the longest
	// time between two breaches that counts towards For.
	Staleness time.Duration
	// EverySeries asks that each series of a target be fresh, not only one of
	// them: for expressions that count series, where a silent one would be missed.
	EverySeries bool
	// Aside: its alerts are only for who asks for their target (AlertsOf). They do not
	// say whether targets are well or whether watchdog sees.
	Aside bool
	// Unseen adds to the value how many other rules of the target have lost their data.
	Unseen bool
}

// FloorSpec is a quantity that must be large enough for a rule's value to mean
// anything.
type FloorSpec struct {
	// Expr is PromQL that gives one value per label target; $window is the rule's.
	Expr string
	Min  float64
	// Unit is printed behind the numbers: "rps".
	Unit string
	// Text names the quantity when it is missing: "request rate".
	Text string
}

// withDefaults fills in what is left out.
func (r Threshold) withDefaults() Threshold {
	if r.Source == "" {
		r.Source = Local
	}
	r.Window = cmp.Or(max(0, r.Window), defaultWindow)
	r.Staleness = cmp.Or(max(0, r.Staleness), stalenessOf(r.Source))
	if r.What == "" {
		r.What = r.Name
	}
	if !sortedOnce(r.Targets) {
		r.Targets = slices.Clone(r.Targets)
		slices.Sort(r.Targets)
		r.Targets = slices.Compact(r.Targets)
	}
	return r
}

// sortedOnce reports whether names are sorted and all different.
func sortedOnce(names []string) bool {
	for i := 1; i < len(names); i++ {
		if names[i-1] >= names[i] {
			return false
		}
	}
	return true
}

// check returns everything that is wrong with the rule's plain fields.
func (r Threshold) check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("rule %q: "+format, append([]any{r.Name}, args...)...))
	}
	if r.Name == "" {
		bad("name is missing")
	}
	if r.Source != Local && r.Source != Prometheus {
		bad("source %q is neither %s nor %s", r.Source, Local, Prometheus)
	}
	if r.For < 0 || r.ClearFor < 0 {
		bad("durations must not be negative")
	}
	if !finite(r.Bound) || !finite(r.Clear) {
		bad("bound or clear bound is not a number")
	}
	if r.Above && r.Clear > r.Bound || !r.Above && r.Clear < r.Bound {
		bad("the clear bound %s is on the breaching side of %s", r.quantity(r.Clear), r.quantity(r.Bound))
	}
	if len(r.Targets) > maxRuleTargets {
		bad("more than %d targets", maxRuleTargets)
	}
	return errors.Join(errs...)
}

// Text is the rule's expression with its window in it.
func (r Threshold) Text() string {
	r.Window = cmp.Or(max(0, r.Window), defaultWindow)
	return r.expand(r.Expr)
}

// expand replaces $window in expr.
func (r Threshold) expand(expr string) string {
	return strings.ReplaceAll(expr, "$window", model.Duration(r.Window).String())
}

// breached reports whether v is on the wrong side of the bound.
func (r *Threshold) breached(v float64) bool {
	if r.Above {
		return v > r.Bound
	}
	return v < r.Bound
}

// cleared reports whether v is on the clear side of the clear bound.
func (r *Threshold) cleared(v float64) bool {
	if r.Above {
		return v <= r.Clear
	}
	return v >= r.Clear
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
