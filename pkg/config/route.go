package config

import (
	"fmt"
	"strings"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"watchdog.io/watchdog/pkg/incident"
)

// maxRoutes bounds the routes: each alert is held against them in order.
const maxRoutes = 1000

func (v *validator) route(a at, r *Route, c *Config) {
	if len(c.Routes) > maxRoutes {
		v.fail(at{"routes"}, "too many routes: %d; the limit is %d", len(c.Routes), maxRoutes)
		return
	}
	for i, text := range r.Matchers {
		m, err := ParseMatchers(text)
		if err != nil {
			v.fail(a.key("matchers").key(i), "%v", err)
			continue
		}
		r.matchers = append(r.matchers, m...)
	}
	if r.Severity != "" {
		v.severity(a.key("severity"), r.Severity)
	}
	if r.Drop && (len(r.Ladder) > 0 || r.Severity != "" || r.SingleSource != "") {
		v.fail(a.key("drop"), "a route with drop cannot set ladder, severity or single_source")
	}
	v.mode(a.key("mode"), r.Mode)
	v.ladder(a.key("ladder"), r.Ladder, "", c)
}

// ParseMatchers reads one item of `matchers` as Alertmanager does: one or more
// conditions on labels, separated by commas, each a label's name, one of = != =~ !~,
// and a value that may stand in double quotes. Regular expressions match the whole
// value; a label that an alert does not have is empty. Where Alertmanager's classic and
// its UTF-8 syntax disagree the classic one wins, as it does there.
func ParseMatchers(text string) (labels.Matchers, error) {
	m, err := labels.ParseMatchers(text)
	if err != nil {
		if utf8, err8 := parse.Matchers(text); err8 == nil {
			m, err = utf8, nil
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("invalid matcher %q: %w; use label=\"value\" or label=~\"regex\", for example "+
			"severity=\"critical\"", text, err)
	case len(m) == 0:
		return nil, fmt.Errorf("invalid matcher %q: no condition; use label=\"value\" or label=~\"regex\", for "+
			"example severity=\"critical\"", text)
	}
	return m, nil
}

// Matches reports whether the alert with these labels is the route's.
func (r *Route) Matches(alert map[string]string) bool {
	for _, m := range r.matchers {
		if !m.Matches(alert[m.Name]) {
			return false
		}
	}
	return true
}

// RouteOf returns the index of the route that decides about an alert, or -1.
func (c *Config) RouteOf(alert map[string]string) int {
	for i := range c.Routes {
		if c.Routes[i].Matches(alert) {
			return i
		}
	}
	return -1
}

// Drops reports whether the alert is left aside: its route says so, or its severity
// is none and no route gives it another. kube-prometheus' Watchdog and InfoInhibitor
// are such alerts: they fire all the time, for other programs.
func (c *Config) Drops(alert map[string]string) bool {
	if i := c.RouteOf(alert); i >= 0 && (c.Routes[i].Drop || c.Routes[i].Severity != "") {
		return c.Routes[i].Drop
	}
	return strings.EqualFold(alert["severity"], "none")
}

// SeverityOf is how fast a person must answer an alert with these labels, by the
// route that decides about it or by its label severity.
func (c *Config) SeverityOf(alert map[string]string) incident.Severity {
	if i := c.RouteOf(alert); i >= 0 && c.Routes[i].Severity != "" {
		return c.Routes[i].Severity
	}
	s, _ := SeverityWord(alert["severity"])
	return s
}

// SeverityWord is the severity that the label of an alert means, and whether the word is
// known. One that is not counts as P2.
func SeverityWord(label string) (s incident.Severity, known bool) {
	switch s := incident.Severity(strings.ToUpper(label)); s {
	case incident.P0, incident.P1, incident.P2, incident.P3:
		return s, true
	}
	switch strings.ToLower(label) {
	case "critical", "page", "emergency":
		return incident.P1, true
	case "warning", "":
		return incident.P2, true
	case "info", "none", "notice":
		return incident.P3, true
	}
	return incident.P2, false
}
