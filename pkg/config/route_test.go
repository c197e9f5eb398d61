package config

import (
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

func TestMatchersAreAlertmanagers(t *testing.T) {
	alert := map[string]string{"severity": "critical", "team": "web", "path": `a "b"`}
	for text, want := range map[string]bool{
		`severity="critical"`: true, `severity=critical`: true, ` severity = critical `: true, `severity!="critical"`: false,
		`team=~"we."`: true, `team=~"we"`: false, `team!~"a|b"`: true, `missing=""`: true, `missing!=""`: false, `missing=~".*"`: true, `missing=~".+"`: false,
		`path="a \"b\""`: true, `"team"="web"`: true,
	} {
		m, err := ParseMatcher(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := (&Route{matchers: append([]*matcher{}, m)}).Matches(alert); got != want {
			t.Errorf("%s matches: %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"", "severity", `team=~"("`, `="x"`, `team="web`, `te am=web`, `{a="b"}`} {
		if _, err := ParseMatcher(text); err == nil || !strings.Contains(err.Error(), "is no matcher") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

func TestSeverityOfAnAlert(t *testing.T) {
	c := &Config{}
	for label, want := range map[string]incident.Severity{"P0": incident.P0, "p3": incident.P3, "critical": incident.P1, "warning": incident.P2, "info": incident.P3, "": incident.P2, "strange": incident.P2} {
		if got := c.SeverityOf(map[string]string{"severity": label}); got != want {
			t.Errorf("severity %q is %s, want %s", label, got, want)
		}
	}
}
