package policy

import (
	"net/url"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

// Bounds of what is read from the link of an external alert.
const (
	maxLinkSpan = 6 * time.Hour
	maxLinkCall = 32 // opening brackets
)

// spanOf is how far an alert's expression looks back. Of an alert of Alertmanager it is
// read from the link to its graph, where Prometheus and vmalert write the expression.
func spanOf(x rules.Alert) time.Duration {
	if x.SourceKind != remediate.SourceAlertmanager || x.Link == "" {
		return x.Span
	}
	u, err := url.Parse(x.Link)
	if err != nil {
		return x.Span
	}
	expr := u.Query().Get("g0.expr")
	if expr == "" || strings.Count(expr, "(") > maxLinkCall {
		return x.Span
	}
	return min(promql.Span(expr), maxLinkSpan)
}
