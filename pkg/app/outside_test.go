package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/hints"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world of one target shop in namespace prod, and what is told of it.
func listener(t *testing.T) (*outside, *time.Time) {
	t.Helper()
	p, err := policyOf(t, routedConfig, routedRules)
	if err != nil {
		t.Fatal(err)
	}
	now := noon
	o := newOutside(func() time.Time { return now })
	o.use(p.Target(func(string, string) (string, string, bool) { return "", "", false }))
	return o, &now
}

func hint(state hints.Status, name string, pairs ...string) hints.Hint {
	h := hints.Hint{State: state, SeenAt: noon.Add(-time.Minute)}
	h.Sender, h.StartsAt = "am", noon.Add(-5*time.Minute)
	h.Labels = model.LabelSet{"alertname": model.LabelValue(name)}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Labels[model.LabelName(pairs[i])] = model.LabelValue(pairs[i+1])
	}
	h.Annotations = model.LabelSet{"summary": "the queue is long"}
	return h
}

var (
	sick = []remediate.Signal{{Source: "kubernetes", Known: true}, {Source: "probe", Known: true, Bad: true, At: noon}}
	well = []remediate.Signal{{Source: "kubernetes", Known: true}, {Source: "probe", Known: true, At: noon}}
)

// one returns the only alert on a target.
func one(t *testing.T, o *outside, target string, seen []remediate.Signal) rules.Alert {
	t.Helper()
	all := o.alertsOf(target, seen)
	if len(all) != 1 {
		t.Fatalf("%d alerts on %s: %+v", len(all), target, all)
	}
	return all[0]
}

func TestAHintIsWeighedAgainstOwnSight_INV16(t *testing.T) {
	o, _ := listener(t)
	targets, names := o.take([]hints.Hint{hint(hints.Firing, "QueueLong", "namespace", "prod", "deployment", "shop", "severity", "critical")})
	if fmt.Sprint(targets, names) != "[shop] [QueueLong]" {
		t.Errorf("about %v %v", targets, names)
	}
	for _, c := range []struct {
		name    string
		seen    []remediate.Signal
		verdict rules.Verdict
		at      time.Time
		says    string
	}{
		{"own eyes see it, too", sick, rules.Breach, noon, "the queue is long (told by am)"},
		{"own eyes see nothing bad", well, rules.Conflict, noon.Add(-time.Minute), "watchdog itself sees nothing bad"},
		{"own eyes see nothing", nil, rules.Breach, noon.Add(-time.Minute), "the queue is long"},
	} {
		a := one(t, o, "shop", c.seen)
		if a.State != rules.Firing || a.Verdict != c.verdict || !a.EvaluatedAt.Equal(c.at) || !strings.Contains(a.Reason, c.says) || a.SourceKind != "alertmanager" || a.Labels["severity"] != "critical" {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
}

func TestTheEndOfAHint(t *testing.T) {
	o, now := listener(t)
	firing := hint(hints.Firing, "QueueLong", "target", "shop")
	over := firing
	over.State = hints.Resolved
	if targets, _ := o.take([]hints.Hint{over}); len(targets) != 0 || len(o.alertsOf("shop", sick)) != 0 {
		t.Errorf("the end of what was never heard of is about %v", targets)
	}
	o.take([]hints.Hint{firing})
	o.take([]hints.Hint{over})
	if a := one(t, o, "shop", sick); a.State != rules.Inactive || a.Verdict != rules.OK {
		t.Errorf("%+v", a)
	}
	*now = now.Add(hintShown + time.Minute)
	o.take(nil)
	if all := o.alertsOf("shop", nil); len(all) != 0 {
		t.Errorf("shown long after its end: %+v", all)
	}
}

// Of several alerts of one name the one that fires speaks; lost is not over.
func TestSeveralHintsOfOneName(t *testing.T) {
	o, _ := listener(t)
	a, b := hint(hints.Firing, "QueueLong", "target", "shop", "queue", "a"), hint(hints.Firing, "QueueLong", "target", "shop", "queue", "b")
	o.take([]hints.Hint{a, b})
	if x := one(t, o, "shop", sick); !strings.Contains(x.Reason, "2 alerts of this name") {
		t.Errorf("%+v", x)
	}
	a.State = hints.Resolved
	o.take([]hints.Hint{a})
	if x := one(t, o, "shop", sick); x.State != rules.Firing || x.Verdict != rules.Breach {
		t.Errorf("one of two is over: %+v", x)
	}
	b.State = hints.Lost
	o.take([]hints.Hint{b})
	if x := one(t, o, "shop", sick); x.State != rules.Firing || x.Verdict != rules.NoData || !strings.Contains(x.Reason, "nobody knows whether it is over") {
		t.Errorf("lost: %+v", x)
	}
}

// A new leader knows of hints by its incidents only: silence is not their end.
func TestAHintOutlivesTheReplicaThatHeardIt(t *testing.T) {
	o, _ := listener(t)
	open := []incident.Incident{{Target: incident.Target{Name: "shop"}, Alerts: []incident.Alert{
		{Rule: "QueueLong", Source: remediate.SourceAlertmanager, Firing: true, Severity: incident.P1, ActiveAt: noon.Add(-time.Hour)},
		{Rule: "error_rate", Source: "app", Firing: true},
	}}}
	o.restore(open)
	if a := one(t, o, "shop", sick); a.State != rules.Firing || a.Verdict != rules.NoData || a.Labels["severity"] != "P1" {
		t.Errorf("%+v", a)
	}
	over := hint(hints.Resolved, "QueueLong", "namespace", "prod", "service", "shop-web")
	if targets, _ := o.take([]hints.Hint{over}); len(targets) != 1 {
		t.Errorf("its end is about %v", targets)
	}
	if a := one(t, o, "shop", sick); a.State != rules.Inactive || a.Verdict != rules.OK {
		t.Errorf("after its end: %+v", a)
	}
}

func TestWhoMayPostCannotOpenAnyNumberOfIncidents_SEC32(t *testing.T) {
	o, _ := listener(t)
	var flood []hints.Hint
	for i := range 10_000 {
		flood = append(flood, hint(hints.Firing, fmt.Sprint("Evil", i), "namespace", fmt.Sprint("ns", i)))
	}
	targets, _ := o.take(flood)
	if len(targets) != maxUnwatched+1 {
		t.Errorf("%d incidents, want %d", len(targets), maxUnwatched+1)
	}
	if a := o.alertsOf(targets[0], nil)[0]; a.Verdict != rules.Breach {
		t.Errorf("%+v", a)
	}
}

func TestWhoMayPostCannotMakeAnIncidentTooLargeToBeStored_SEC32(t *testing.T) {
	o, now := listener(t)
	o.take([]hints.Hint{hint(hints.Firing, "QueueLong", "target", "shop", "severity", "critical")})
	var flood []hints.Hint
	for i := range 10_000 {
		h := hint(hints.Firing, fmt.Sprint("Evil", i, strings.Repeat("ä", 500)), "target", "shop")
		h.Annotations["summary"] = model.LabelValue(strings.Repeat("<", 4000))
		flood = append(flood, h)
	}
	o.take(flood)
	names := func() (all []string) {
		size := 0
		for _, a := range o.alertsOf("shop", well) {
			all = append(all, a.Rule)
			size += len(a.Rule) + len(a.Reason)
		}
		if len(all) != maxNames+1 || size > 20_000 || !slices.Contains(all, "QueueLong") || !slices.Contains(all, moreAlerts) {
			t.Errorf("%d alerts with %d bytes: %q", len(all), size, all)
		}
		return all
	}
	told := names()
	for _, a := range o.alertsOf("shop", well) {
		if a.Rule == moreAlerts && (!strings.HasPrefix(a.Reason, "9981 alerts of further names fire") || a.Labels["alertname"] != moreAlerts) {
			t.Errorf("%q %v", a.Reason, a.Labels)
		}
	}
	// Another replica, which knows the incident only, takes them up again.
	other, _ := listener(t)
	other.restore([]incident.Incident{{Target: incident.Target{Name: "shop"}, Alerts: []incident.Alert{{Rule: moreAlerts, Source: remediate.SourceAlertmanager, Firing: true}}}})
	other.take(flood)
	for i := range flood {
		flood[i].State = hints.Resolved
	}
	other.take(flood)
	for _, a := range other.alertsOf("shop", well) {
		if a.State != rules.Inactive {
			t.Errorf("all are over, and %s is %s: %s", a.Rule, a.State, a.Reason)
		}
	}
	// New names instead of the old ones do not make it longer, a reload neither.
	o.take(flood)
	*now = now.Add(hintShown + time.Minute)
	o.take([]hints.Hint{hint(hints.Firing, "Other", "target", "shop")})
	o.use(o.target)
	for _, a := range o.alertsOf("shop", well) {
		if a.Rule != moreAlerts && !slices.Contains(told, a.Rule) {
			t.Errorf("%s is told apart as well", a.Rule)
		}
	}
}

func TestAReloadFindsThePlaceOfAHintAnew(t *testing.T) {
	o, _ := listener(t)
	o.take([]hints.Hint{hint(hints.Firing, "QueueLong", "namespace", "other", "deployment", "new")})
	if len(o.alertsOf("not watched: QueueLong in other", nil)) != 1 {
		t.Fatal("it is nowhere")
	}
	p, err := policyOf(t, strings.Replace(routedConfig, "targets:", "targets:\n  - {name: new, namespace: other, workload: deployment/new}", 1), routedRules)
	if err != nil {
		t.Fatal(err)
	}
	o.use(p.Target(func(string, string) (string, string, bool) { return "", "", false }))
	if len(o.alertsOf("new", nil)) != 1 || len(o.alertsOf("not watched: QueueLong in other", nil)) != 0 {
		t.Error("it is still where it was")
	}
}
