package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/incident"
)

// maxRoutes bounds the routes: each alert is held against them in order.
const maxRoutes = 1000

func (v *validator) route(a at, r *Route, c *Config) {
	if len(c.Routes) > maxRoutes {
		v.fail(at{"routes"}, "%d routes; at most %d", len(c.Routes), maxRoutes)
		return
	}
	for i, text := range r.Matchers {
		m, err := ParseMatcher(text)
		if err != nil {
			v.fail(a.key("matchers").key(i), "%v", err)
			continue
		}
		r.matchers = append(r.matchers, m)
	}
	if r.Severity != "" {
		v.severity(a.key("severity"), r.Severity)
	}
	v.mode(a.key("mode"), r.Mode)
	v.ladder(a.key("ladder"), r.Ladder, "", c)
}

// matcher is one condition on a label.
type matcher = labels.Matcher

var matcherShape = regexp.MustCompile(`^\s*("(?:[^"\\]|\\.)*"|[^\s=!~"{},]+)\s*(=~|!~|!=|=)\s*(.*?)\s*$`)

// ParseMatcher reads one matcher of Alertmanager: a label's name, one of = != =~
// !~, and a value that may stand in double quotes. Regular expressions match the
// whole value; a label that an alert has not is empty.
func ParseMatcher(text string) (*matcher, error) {
	parts := matcherShape.FindStringSubmatch(text)
	if parts == nil {
		return nil, fmt.Errorf("%q is no matcher; write severity=\"critical\" or team=~\"a|b\"", text)
	}
	name, err := unquote(parts[1])
	value, err2 := unquote(parts[3])
	if err != nil || err2 != nil || name == "" {
		return nil, fmt.Errorf("%q is no matcher: the quotes do not fit; write severity=\"critical\"", text)
	}
	kind := map[string]labels.MatchType{"=": labels.MatchEqual, "!=": labels.MatchNotEqual, "=~": labels.MatchRegexp, "!~": labels.MatchNotRegexp}[parts[2]]
	m, err := labels.NewMatcher(kind, name, value)
	if err != nil {
		return nil, fmt.Errorf("%q is no matcher: %w", text, err)
	}
	return m, nil
}

func unquote(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		return strconv.Unquote(s)
	}
	if strings.ContainsRune(s, '"') {
		return "", strconv.ErrSyntax
	}
	return s, nil
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

// SeverityOf is how fast a person must answer an alert with these labels, by the
// route that decides about it or by its label severity.
func (c *Config) SeverityOf(alert map[string]string) incident.Severity {
	if i := c.RouteOf(alert); i >= 0 && c.Routes[i].Severity != "" {
		return c.Routes[i].Severity
	}
	switch s := incident.Severity(strings.ToUpper(alert["severity"])); s {
	case incident.P0, incident.P1, incident.P2, incident.P3:
		return s
	}
	switch strings.ToLower(alert["severity"]) {
	case "critical", "page", "emergency":
		return incident.P1
	case "info", "none", "notice":
		return incident.P3
	}
	return incident.P2
}
