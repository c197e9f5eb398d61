package selfwatch

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/rules"
)

func TestARuleThatCannotBeEvaluatedIsTold(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	failed := func(rule string, since, last time.Duration) rules.Failure {
		return rules.Failure{Group: "queue", Rule: rule, Since: now.Add(-since), Last: now.Add(-last),
			Err: errors.New("many-to-many matching not allowed")}
	}
	var many []rules.Failure
	for k := range 7 {
		many = append(many, failed(fmt.Sprint("Rule", k), time.Duration(10+k)*time.Minute, time.Minute))
	}
	for _, tt := range []struct {
		name  string
		all   []rules.Failure
		since time.Duration // 0: it does not fire
		text  []string
	}{
		{name: "all rules evaluate"},
		{name: "it has just begun", all: []rules.Failure{failed("QueueTooLong", time.Minute, 0)}},
		{name: "it lasts", all: []rules.Failure{failed("QueueTooLong", failingFor, 0)}, since: failingFor,
			text: []string{`QueueTooLong of group "queue" since 11:55 UTC (many-to-many`}},
		{name: "an hourly rule failed once", all: []rules.Failure{failed("QueueTooLong", 30*time.Minute,
			30*time.Minute)}},
		{name: "an hourly rule failed once, and its second evaluation has begun",
			all: []rules.Failure{failed("QueueTooLong", time.Hour, time.Hour)}},
		{name: "an hourly rule failed twice", all: []rules.Failure{failed("QueueTooLong", time.Hour, 0)},
			since: time.Hour, text: []string{"QueueTooLong"}},
		{name: "many", all: many, since: 16 * time.Minute, text: []string{"Rule0", "Rule4", "2 more"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := RulesFailing(tt.all, now)
			if a.Firing != (tt.since > 0) || a.Firing != (a.Verdict == incident.Breach) {
				t.Fatalf("%+v", a)
			}
			if a.Firing && !a.ActiveAt.Equal(now.Add(-tt.since)) {
				t.Errorf("since %s", a.ActiveAt)
			}
			for _, want := range tt.text {
				if !strings.Contains(a.Reason, want) {
					t.Errorf("%s: no %q", a.Reason, want)
				}
			}
		})
	}
}
