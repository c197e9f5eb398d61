package backtest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Assertion is a bound on a number of the report: "pages <= 3",
// `actions{action="rollback"} == 0`, `unknown{rule="error_rate"} < 1h`.
type Assertion struct {
	text, what string
	matchers   map[string]string
	op         string
	bound      float64
}

var (
	assertion = regexp.MustCompile(`^\s*([a-z]+)\s*(?:\{([^}]*)\})?\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*$`)
	matcher   = regexp.MustCompile(`^\s*([a-z]+)\s*=\s*"([^"]*)"\s*$`)
)

// quantities are what can be bounded, with the labels that narrow each.
var quantities = map[string][]string{
	"incidents": {"target", "severity"},
	"actions":   {"action", "target"},
	"would":     {"action", "target"},
	"pages":     {"severity", "target"},
	"firings":   {"rule"},
	"firing":    {"rule"},
	"unknown":   {"rule"},
	"held":      {"guard", "hold"},
	"failures":  {},
}

// ParseAssertion reads one bound.
func ParseAssertion(text string) (Assertion, error) {
	m := assertion.FindStringSubmatch(text)
	if m == nil {
		return Assertion{}, fmt.Errorf("assertion %q: want QUANTITY{label=\"value\"} OP NUMBER, for instance pages <= 3", text)
	}
	a := Assertion{text: strings.TrimSpace(text), what: m[1], op: m[3], matchers: map[string]string{}}
	known, ok := quantities[a.what]
	if !ok {
		return a, fmt.Errorf("assertion %q: %q is none of incidents, actions, would, pages, firings, firing, "+
			"unknown, held, failures", text, a.what)
	}
	for _, part := range strings.Split(m[2], ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		l := matcher.FindStringSubmatch(part)
		if l == nil || !slices.Contains(known, l[1]) {
			return a, fmt.Errorf("assertion %q: %s takes the labels %s, as in %s{%s}", text, a.what,
				strings.Join(known, ", "), a.what, example(known))
		}
		if words := values(l[1]); words != nil && !slices.Contains(words, l[2]) {
			return a, fmt.Errorf("assertion %q: unknown %s %q; expected one of: %s", text, l[1], l[2],
				strings.Join(words, ", "))
		}
		a.matchers[l[1]] = l[2]
	}
	var err error
	if a.bound, err = strconv.ParseFloat(m[4], 64); err != nil {
		d, e := time.ParseDuration(m[4])
		if e != nil || a.what != "firing" && a.what != "unknown" {
			return a, fmt.Errorf("assertion %q: %q is no number", text, m[4])
		}
		a.bound = d.Seconds()
	}
	return a, nil
}

// values are all that a label can be, nil if that is open: a bound on what cannot be would hold for ever.
func values(label string) []string {
	switch label {
	case "action":
		names, _ := reported()
		var words []string
		for _, n := range names {
			words = append(words, string(n))
		}
		return words
	case "guard":
		return slices.Concat([]string{"plan", "still fits"}, remediate.LedgerGuardNames(), remediate.GuardNames())
	}
	return nil
}

func example(labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	return labels[0] + `="…"`
}

// Check says what is wrong; empty: the bound holds.
func (a Assertion) Check(r *Report) string {
	got, err := a.value(r)
	if err != nil {
		return fmt.Sprintf("%s: %v", a.text, err)
	}
	holds := map[string]bool{"<=": got <= a.bound, ">=": got >= a.bound, "==": got == a.bound, "!=": got != a.bound,
		"<": got < a.bound, ">": got > a.bound}[a.op]
	if holds {
		return ""
	}
	if a.what == "firing" || a.what == "unknown" {
		return fmt.Sprintf("%s: it is %s", a.text, Span(got*float64(time.Second)))
	}
	return fmt.Sprintf("%s: it is %g", a.text, got)
}

// fits reports whether a thing with these labels is meant.
func (a Assertion) fits(labels map[string]string) bool {
	for k, v := range a.matchers {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// value is the quantity. A rule that does not exist is an error: a bound on it would
// hold for ever.
func (a Assertion) value(r *Report) (float64, error) {
	n := 0.0
	add := func(by float64, labels ...string) {
		m := map[string]string{}
		for i := 0; i < len(labels); i += 2 {
			m[labels[i]] = labels[i+1]
		}
		if a.fits(m) {
			n += by
		}
	}
	switch a.what {
	case "incidents":
		for _, i := range r.Incidents {
			add(1, "target", i.Target, "severity", string(i.Severity))
		}
	case "actions", "would":
		for _, x := range r.Actions {
			if x.Would == (a.what == "would") && x.Action != incident.ActionRevert {
				add(1, "action", string(x.Action), "target", x.Target)
			}
		}
	case "pages":
		for _, p := range r.Pages {
			add(1, "severity", string(p.Severity), "target", p.Target)
		}
	case "held":
		for _, g := range r.Guards {
			add(float64(g.Count), "guard", g.Guard, "hold", string(g.Hold))
		}
	case "failures":
		n = float64(r.Failures)
	default:
		if name, named := a.matchers["rule"]; named && !slices.ContainsFunc(r.Rules,
			func(x Rule) bool { return x.Rule == name }) {
			return 0, fmt.Errorf("no rule is called %q", name)
		}
		for _, x := range r.Rules {
			add(map[string]float64{"firings": float64(x.Firings), "firing": time.Duration(x.Firing).Seconds(),
				"unknown": time.Duration(x.Unknown).Seconds()}[a.what], "rule", x.Rule)
		}
	}
	return n, nil
}
