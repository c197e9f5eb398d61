package ingest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// one target, shop in namespace prod, and what is told of it.
func listener(t *testing.T) (*ExternalAlerts, *time.Time) {
	t.Helper()
	now := noon
	o := NewExternalAlerts(func() time.Time { return now })
	o.Use(NewResolver(shop, nobody))
	o.Synced()
	return o, &now
}

var shop = []Workload{{Target: "shop", Namespace: "prod", Kind: "deployment", Name: "shop", Service: "shop-web"},
	{Target: "cart", Namespace: "prod", Kind: "statefulset", Name: "cart"}}

func nobody(string, string) (string, string, bool) { return "", "", false }

func hint(state Status, name string, pairs ...string) AlertState {
	h := AlertState{State: state, SeenAt: noon.Add(-time.Minute)}
	h.Sender, h.StartsAt = "am", noon.Add(-5*time.Minute)
	h.Labels = model.LabelSet{"alertname": model.LabelValue(name)}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Labels[model.LabelName(pairs[i])] = model.LabelValue(pairs[i+1])
	}
	h.Annotations = model.LabelSet{"summary": "the queue is long"}
	return h
}

var (
	seenBad = []remediate.Signal{{Source: "kubernetes", Known: true},
		{Source: "probe", Known: true, Bad: true, At: noon}}
	seenWell = []remediate.Signal{{Source: "kubernetes", Known: true}, {Source: "probe", Known: true, At: noon}}
)

// theOne returns the only alert on a target.
func theOne(t *testing.T, o *ExternalAlerts, target string, seen []remediate.Signal) rules.Alert {
	t.Helper()
	all := o.AlertsOf(target, seen)
	if len(all) != 1 {
		t.Fatalf("%d alerts on %s: %+v", len(all), target, all)
	}
	return all[0]
}

func TestAHintIsWeighedAgainstOwnSight_INV16(t *testing.T) {
	o, _ := listener(t)
	targets, names := o.Take([]AlertState{hint(Firing,
		"QueueLong", "namespace", "prod", "deployment", "shop", "severity", "critical")})
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
		{"own eyes see it, too", seenBad, rules.Breach, noon, "the queue is long (reported by am)"},
		{"own eyes see nothing bad", seenWell, rules.Conflict, noon.Add(-time.Minute),
			"watchdog's own data shows no problem"},
		{"own eyes see nothing", nil, rules.Breach, noon.Add(-time.Minute), "the queue is long"},
	} {
		a := theOne(t, o, "shop", c.seen)
		if a.State != rules.Firing || a.Verdict != c.verdict || !a.EvaluatedAt.Equal(c.at) ||
			!strings.Contains(a.Reason, c.says) || a.SourceKind != "alertmanager" ||
			a.Labels["severity"] != "critical" {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
}

func TestTheEndOfAHint(t *testing.T) {
	o, now := listener(t)
	firing := hint(Firing, "QueueLong", "target", "shop")
	over := firing
	over.State = Resolved
	if targets, _ := o.Take([]AlertState{over}); len(targets) != 0 || len(o.AlertsOf("shop", seenBad)) != 0 {
		t.Errorf("the end of what was never heard of is about %v", targets)
	}
	o.Take([]AlertState{firing})
	o.Take([]AlertState{over})
	if a := theOne(t, o, "shop", seenBad); a.State != rules.Inactive || a.Verdict != rules.OK {
		t.Errorf("%+v", a)
	}
	*now = now.Add(hintShown + time.Minute)
	o.Take(nil)
	if all := o.AlertsOf("shop", nil); len(all) != 0 {
		t.Errorf("shown long after its end: %+v", all)
	}
}

// Of several alerts of one name the one that fires speaks; lost is not over.
func TestSeveralHintsOfOneName(t *testing.T) {
	o, _ := listener(t)
	a, b := hint(Firing, "QueueLong", "target", "shop", "queue", "a"), hint(Firing,
		"QueueLong", "target", "shop", "queue", "b")
	o.Take([]AlertState{a, b})
	if x := theOne(t, o, "shop", seenBad); !strings.Contains(x.Reason, "2 alerts of this name") {
		t.Errorf("%+v", x)
	}
	a.State = Resolved
	o.Take([]AlertState{a})
	if x := theOne(t, o, "shop", seenBad); x.State != rules.Firing || x.Verdict != rules.Breach {
		t.Errorf("one of two is over: %+v", x)
	}
	b.State = Lost
	o.Take([]AlertState{b})
	if x := theOne(t, o, "shop", seenBad); x.State != rules.Firing || x.Verdict != rules.NoData ||
		!strings.Contains(x.Reason, "it may have resolved") {
		t.Errorf("lost: %+v", x)
	}
}

// A new leader knows of hints by its incidents only: silence is not their end.
func TestAHintOutlivesTheReplicaThatHeardIt(t *testing.T) {
	o, _ := listener(t)
	open := []incident.Incident{{Target: incident.Target{Name: "shop"}, Alerts: []incident.Alert{
		{Rule: "QueueLong", Source: remediate.SourceAlertmanager, Firing: true, Severity: incident.P1,
			ActiveAt: noon.Add(-time.Hour)},
		{Rule: "error_rate", Source: "app", Firing: true},
	}}}
	o.Restore(open, nil, nil)
	if a := theOne(t, o, "shop", seenBad); a.State != rules.Firing || a.Verdict != rules.NoData ||
		a.Labels["severity"] != "P1" {
		t.Errorf("%+v", a)
	}
	over := hint(Resolved, "QueueLong", "namespace", "prod", "service", "shop-web")
	if targets, _ := o.Take([]AlertState{over}); len(targets) != 1 {
		t.Errorf("its end is about %v", targets)
	}
	if a := theOne(t, o, "shop", seenBad); a.State != rules.Inactive || a.Verdict != rules.OK {
		t.Errorf("after its end: %+v", a)
	}
}

func TestWhoMayPostCannotOpenAnyNumberOfIncidents_SEC32(t *testing.T) {
	o, _ := listener(t)
	var flood []AlertState
	for i := range 10_000 {
		flood = append(flood, hint(Firing, fmt.Sprint("Evil", i), "namespace", fmt.Sprint("ns", i)))
	}
	targets, _ := o.Take(flood)
	if len(targets) != maxUnwatched+1 {
		t.Errorf("%d incidents, want %d", len(targets), maxUnwatched+1)
	}
	if a := o.AlertsOf(targets[0], nil)[0]; a.Verdict != rules.Breach {
		t.Errorf("%+v", a)
	}
}

// A sender that floods takes no room of another, and an outage of more than a sender's
// incidents is told all the same.
func TestEachSenderHasRoomOfItsOwn_S07(t *testing.T) {
	o, now := listener(t)
	var crowded []string
	o.Crowded = func(sender string) { crowded = append(crowded, sender) }
	from := func(sender, name string) AlertState {
		h := hint(Firing, name, "namespace", "billing")
		h.Sender = sender
		return h
	}
	var flood []AlertState
	for i := range 300 {
		flood = append(flood, from("evil", fmt.Sprint("Evil", i)))
	}
	first, _ := o.Take(flood[:maxUnwatched])
	rest, _ := o.Take(flood[maxUnwatched:])
	if len(first) != maxUnwatched || fmt.Sprint(rest) != "[not watched: more alerts of evil]" || o.Together() != 200 {
		t.Errorf("%d incidents, then %q; %d alerts are told together", len(first), rest, o.Together())
	}
	firing := 0
	for _, a := range o.AlertsOf(rest[0], nil) {
		if a.State == rules.Firing {
			firing += 1 + len(a.Others)
		}
	}
	if firing != 200 {
		t.Errorf("the collective incident has %d of 200 alerts", firing)
	}
	if other, _ := o.Take([]AlertState{from("am",
		"NodeDown")}); fmt.Sprint(other) != "[not watched: NodeDown in billing]" {
		t.Errorf("an alert of another sender is about %q", other)
	}
	if watched, _ := o.Take([]AlertState{hint(Firing, "Slow", "target", "shop")}); fmt.Sprint(watched) != "[shop]" {
		t.Errorf("an alert about a target is about %q", watched)
	}
	o.Use(o.resolver)
	o.Take([]AlertState{from("evil", "Evil301")})
	if fmt.Sprint(crowded) != "[evil]" {
		t.Errorf("told of %q, want once of each sender", crowded)
	}
	// What has ended counts for a while: new names at any pace are no way round.
	for i := range flood {
		flood[i].State = Resolved
	}
	o.Take(flood)
	*now = now.Add(hintShown)
	if again, _ := o.Take([]AlertState{from("evil",
		"New")}); fmt.Sprint(again) != "[not watched: more alerts of evil]" {
		t.Errorf("a new name shortly after the flood is about %q", again)
	}
	*now = now.Add(time.Minute)
	o.Take(nil)
	if again, _ := o.Take([]AlertState{from("evil", "Newer")}); fmt.Sprint(again) != "[not watched: Newer in billing]" {
		t.Errorf("a new name long after the flood is about %q", again)
	}
}

// Among many alerts of one severity that are taken together, the first of another one is
// told by its name.
func TestAGraveAlertIsNotHiddenAmongMany_S07(t *testing.T) {
	o, _ := listener(t)
	for i := range maxUnwatched + 2*maxNames {
		o.Take([]AlertState{hint(Firing, fmt.Sprint("Warn", i), "severity", "warning")})
	}
	place, _ := o.Take([]AlertState{hint(Firing, "NodeDown", "severity", "critical")})
	shown := func() (all []string) {
		for _, a := range o.AlertsOf(place[0], nil) {
			all = append(all, a.Rule)
		}
		return all
	}
	if place[0] != "not watched: more alerts of am" || !slices.Contains(shown(), "NodeDown") {
		t.Errorf("in %s: %q", place[0], shown())
	}
	for i := range 1000 {
		o.Take([]AlertState{hint(Firing, fmt.Sprint("Evil", i), "severity", fmt.Sprint("sev", i))})
	}
	if n := len(shown()); n != maxNames+graverNames+1 {
		t.Errorf("%d names are told apart", n)
	}
}

func TestAllSendersTogetherOpenABoundedNumberOfIncidents_S07(t *testing.T) {
	o, _ := listener(t)
	all := map[string]bool{}
	for i := range 20 * maxUnwatched {
		h := hint(Firing, fmt.Sprint("Evil", i))
		h.Sender = fmt.Sprint("sender", i%20)
		targets, _ := o.Take([]AlertState{h})
		all[targets[0]] = true
	}
	if len(all) != maxOfAll+20 {
		t.Errorf("%d incidents, want %d and one for each sender", len(all), maxOfAll)
	}
}

// While a flapping incident waits for a calm, its alerts are over, also for a leader
// that has not heard so.
func TestASuccessorDoesNotHearAgainWhatIsCalm_S07(t *testing.T) {
	o, _ := listener(t)
	h := hint(Firing, "DiskFull", "namespace", "billing")
	h.SeenAt = noon.Add(-5 * time.Minute)
	o.Take([]AlertState{h})
	if incident.FlapCalm >= hintShown {
		t.Error("an incident waits longer for a calm than the names of its alerts are remembered")
	}
	waits := incident.Incident{CalmSince: noon.Add(-time.Minute),
		Target: incident.Target{Name: "not watched: DiskFull in billing"}, Alerts: []incident.Alert{
			{Rule: "DiskFull", Source: remediate.SourceAlertmanager, Keys: []string{identity(h.Key())}},
		}}
	o.Restore([]incident.Incident{waits}, nil, nil)
	if all := o.AlertsOf(waits.Target.Name, nil); len(all) != 0 {
		t.Errorf("it is heard again: %+v", all)
	}
	h.SeenAt = noon
	o.Take([]AlertState{h})
	if a := theOne(t, o, waits.Target.Name, nil); a.State != rules.Firing {
		t.Errorf("it fires once more, and is %s", a.State)
	}
	waits.Phase, waits.ResolvedAt = incident.Resolved, noon.Add(9*time.Minute)
	o.Restore(nil, []incident.Incident{waits}, nil)
	if a := theOne(t, o, waits.Target.Name, nil); a.State != rules.Firing {
		t.Errorf("it came back during the calm, which another leader knew nothing of, and is %s", a.State)
	}
}

func TestWhoMayPostCannotMakeAnIncidentTooLargeToBeStored_SEC32(t *testing.T) {
	o, now := listener(t)
	o.Take([]AlertState{hint(Firing, "QueueLong", "target", "shop", "severity", "critical")})
	var flood []AlertState
	for i := range 10_000 {
		h := hint(Firing, fmt.Sprint("Evil", i, strings.Repeat("ä", 500)), "target", "shop")
		h.Annotations["summary"] = model.LabelValue(strings.Repeat("<", 4000))
		flood = append(flood, h)
	}
	o.Take(flood)
	names := func() (all []string) {
		size := 0
		for _, a := range o.AlertsOf("shop", seenWell) {
			all = append(all, a.Rule)
			size += len(a.Rule) + len(a.Reason)
		}
		if len(all) != maxNames+1 || size > 20_000 || !slices.Contains(all, "QueueLong") ||
			!slices.Contains(all, moreAlerts) {
			t.Errorf("%d alerts with %d bytes: %q", len(all), size, all)
		}
		return all
	}
	shown := names()
	for _, a := range o.AlertsOf("shop", seenWell) {
		if a.Rule == moreAlerts && (!strings.HasPrefix(a.Reason, "9981 alerts with other names are firing") ||
			a.Labels["alertname"] != moreAlerts) {
			t.Errorf("%q %v", a.Reason, a.Labels)
		}
	}
	// Another replica, which knows the incident only, takes them up again.
	other, _ := listener(t)
	other.Restore([]incident.Incident{{Target: incident.Target{Name: "shop"},
		Alerts: []incident.Alert{{Rule: moreAlerts, Source: remediate.SourceAlertmanager, Firing: true}}}}, nil, nil)
	other.Take(flood)
	for i := range flood {
		flood[i].State = Resolved
	}
	other.Take(flood)
	for _, a := range other.AlertsOf("shop", seenWell) {
		if a.State != rules.Inactive {
			t.Errorf("all are over, and %s is %s: %s", a.Rule, a.State, a.Reason)
		}
	}
	// New names instead of the old ones do not make it longer, a reload neither.
	o.Take(flood)
	*now = now.Add(hintShown + time.Minute)
	o.Take([]AlertState{hint(Firing, "Other", "target", "shop")})
	o.Use(o.resolver)
	for _, a := range o.AlertsOf("shop", seenWell) {
		if a.Rule != moreAlerts && !slices.Contains(shown, a.Rule) {
			t.Errorf("%s is told apart as well", a.Rule)
		}
	}
}

func TestAReloadFindsThePlaceOfAHintAnew(t *testing.T) {
	o, _ := listener(t)
	o.Take([]AlertState{hint(Firing, "QueueLong", "namespace", "other", "deployment", "new")})
	if len(o.AlertsOf("not watched: QueueLong in other", nil)) != 1 {
		t.Fatal("it is nowhere")
	}
	o.Use(NewResolver(append(slices.Clone(shop), Workload{Target: "new", Namespace: "other", Kind: "deployment",
		Name: "new"}), nobody))
	if len(o.AlertsOf("new", nil)) != 1 || len(o.AlertsOf("not watched: QueueLong in other", nil)) != 0 {
		t.Error("it is still where it was")
	}
}

// Of several hints of one name each one's labels are known.
func TestTheLabelsOfAllHintsAreKnown(t *testing.T) {
	o, _ := listener(t)
	a, b, c := hint(Firing, "QueueLong", "target", "shop", "queue", "a"), hint(Firing,
		"QueueLong", "target", "shop", "queue", "b"), hint(Firing, "QueueLong", "target", "shop", "queue", "c")
	o.Take([]AlertState{a, b, c})
	c.State = Lost
	o.Take([]AlertState{c})
	if x := theOne(t, o, "shop", seenBad); len(x.Others) != 1 || x.Others[0].Get("queue") == x.Labels["queue"] ||
		x.Others[0].Get("queue") == "c" {
		t.Errorf("%v and %v", x.Labels, x.Others)
	}
}

// TestAnAlertThatNamesAPodWaitsForItsOwner_X01: after a restart the journal is read
// before the cluster has said whose pods are whose.
func TestAnAlertThatNamesAPodWaitsForItsOwner_X01(t *testing.T) {
	synced := false
	o := NewExternalAlerts(func() time.Time { return noon })
	o.Use(NewResolver(shop, func(_, pod string) (string, string, bool) {
		return "deployment", "shop", synced &&
			pod == "strange"
	}))
	targets, _ := o.Take([]AlertState{hint(Firing, "ByPod", "namespace", "prod", "pod", "strange"),
		hint(Firing, "ByName", "namespace", "prod", "deployment", "shop"), hint(Firing, "OfNode", "node", "n1"),
		hint(Firing, "Short", "namespace", "prod", "pod", "strange")})
	if fmt.Sprint(targets) != "[not watched: OfNode shop]" {
		t.Errorf("before the owners are known it is about %q", targets)
	}
	o.Take([]AlertState{hint(Resolved, "Short", "namespace", "prod", "pod", "strange")})
	synced = true
	if targets, names := o.Synced(); fmt.Sprint(targets, names) != "[shop] [ByPod]" {
		t.Errorf("afterwards it is about %q %q", targets, names)
	}
	if all := o.Unwatched(); fmt.Sprint(all) != "[not watched: OfNode]" {
		t.Errorf("a new leader is to work %q", all)
	}
}

// TestAnAlertKeepsItsTarget_X02: its pod may be replaced, and the configuration
// loaded again; another incident would be another page.
func TestAnAlertKeepsItsTarget_X02(t *testing.T) {
	lives := true
	owner := func(_, pod string) (string, string, bool) { return "deployment", "shop", lives && pod == "strange" }
	o, _ := listener(t)
	o.Use(NewResolver(shop, owner))
	o.Take([]AlertState{hint(Firing, "ByPod", "namespace", "prod", "pod", "strange")})
	lives = false
	o.Use(NewResolver(shop, owner))
	if a := theOne(t, o, "shop", seenBad); a.State != rules.Firing {
		t.Errorf("%+v", a)
	}
	o.Use(NewResolver(shop[1:], owner)) // not a target any more
	if a := theOne(t, o, "not watched: ByPod in prod", nil); a.State != rules.Firing {
		t.Errorf("%+v", a)
	}
}

// incidentOf is the incident that the alerts on a target have opened.
func incidentOf(o *ExternalAlerts, target string, phase incident.Phase) incident.Incident {
	i := incident.Incident{Target: incident.Target{Name: target}, Phase: phase, ResolvedAt: noon}
	for _, a := range o.AlertsOf(target, nil) {
		i.Alerts = append(i.Alerts, incident.Alert{Rule: a.Rule, Source: a.SourceKind, Firing: a.State == rules.Firing,
			Keys: a.Keys, ActiveAt: a.ActiveAt, Labels: a.Labels})
	}
	return i
}

// TestASuccessorKnowsEachAlertOfAnIncident_X01: it has heard none of them itself, and
// the pods that they named are gone.
func TestASuccessorKnowsEachAlertOfAnIncident_X01(t *testing.T) {
	a, b := hint(Firing, "Down", "namespace", "prod", "pod", "strange-1"), hint(Firing,
		"Down", "namespace", "prod", "pod", "strange-2")
	first := NewExternalAlerts(func() time.Time { return noon })
	first.Use(NewResolver(shop, func(string, string) (string, string, bool) { return "deployment", "shop", true }))
	first.Synced()
	first.Take([]AlertState{a, b})
	open := incidentOf(first, "shop", incident.Open)
	if len(open.Alerts) != 1 || len(open.Alerts[0].Keys) != 2 {
		t.Fatalf("%+v", open)
	}
	next, _ := listener(t)
	next.Restore([]incident.Incident{open}, nil, nil)
	a.State = Resolved
	if targets, _ := next.Take([]AlertState{a}); fmt.Sprint(targets) != "[shop]" {
		t.Errorf("the end of the first is about %q", targets)
	}
	if x := theOne(t, next, "shop", seenBad); x.State != rules.Firing || x.Verdict != rules.NoData {
		t.Errorf("the second is not heard of yet, and it is %+v", x)
	}
	next.Take([]AlertState{b})
	if x := theOne(t, next, "shop", seenBad); x.State != rules.Firing || x.Verdict != rules.Breach {
		t.Errorf("%+v", x)
	}
	b.State = Resolved
	next.Take([]AlertState{b})
	if x := theOne(t, next, "shop", seenBad); x.State != rules.Inactive {
		t.Errorf("both are over: %+v", x)
	}
}

// TestAnEndThatWasAcceptedIsNotLost_X01: the process died after the end was on disk
// and before its incident was ended; nobody sends the end again.
func TestAnEndThatWasAcceptedIsNotLost_X01(t *testing.T) {
	a := hint(Firing, "Down", "namespace", "prod", "pod", "strange")
	first := NewExternalAlerts(func() time.Time { return noon })
	first.Use(NewResolver(shop, func(string, string) (string, string, bool) { return "deployment", "shop", true }))
	first.Synced()
	first.Take([]AlertState{a})
	open := incidentOf(first, "shop", incident.Open)
	store := NewStore(Limits{})
	for _, s := range []Status{Firing, Resolved} {
		x := a.Alert
		x.Status = s
		if _, err := store.Accept([]Alert{x}, noon); err != nil {
			t.Fatal(err)
		}
	}
	next, _ := listener(t)
	next.Restore([]incident.Incident{open}, nil, store)
	if x := theOne(t, next, "shop", seenBad); x.State != rules.Inactive || x.Verdict != rules.OK {
		t.Errorf("%+v", x)
	}
}

// TestAnEndBeforeItCameBackIsNoEnd_S07: this replica heard that the alert was over, and
// another one that it fires again.
func TestAnEndBeforeItCameBackIsNoEnd_S07(t *testing.T) {
	a, b := hint(Firing, "Down", "namespace", "prod", "pod", "strange-1"), hint(Firing,
		"Down", "namespace", "prod", "pod", "strange-2")
	store := NewStore(Limits{})
	for _, s := range []Status{Firing, Resolved} {
		for _, x := range []Alert{a.Alert, b.Alert} {
			if x.Status = s; s == Resolved {
				x.EndsAt = noon.Add(-5 * time.Minute)
			}
			if _, err := store.Accept([]Alert{x}, noon); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := NewExternalAlerts(func() time.Time { return noon })
	first.Use(NewResolver(shop, func(string, string) (string, string, bool) { return "deployment", "shop", true }))
	first.Synced()
	first.Take([]AlertState{a, b})
	a.State, b.State = Resolved, Resolved
	first.Take([]AlertState{a, b})
	b.State, b.StartsAt = Firing, noon.Add(-time.Minute)
	first.Take([]AlertState{b})
	next, _ := listener(t)
	next.Restore([]incident.Incident{incidentOf(first, "shop", incident.Open)}, nil, store)
	if x := theOne(t, next, "shop", seenBad); x.State != rules.Firing || x.Verdict != rules.NoData {
		t.Errorf("it came back a minute ago, and ended four minutes before: %s, %s", x.State, x.Verdict)
	}
	b.State = Resolved
	next.Take([]AlertState{b})
	if x := theOne(t, next, "shop", seenBad); x.State != rules.Inactive {
		t.Errorf("the one that came back is over, and the other one was over before: %s, %s", x.State, x.Verdict)
	}
}

// TestWhatAnotherLeaderHasEndedStaysOver_X01: this replica led before, and its disk
// says that the alert fires.
func TestWhatAnotherLeaderHasEndedStaysOver_X01(t *testing.T) {
	a := hint(Firing, "Down", "target", "shop")
	for name, before := range map[string]bool{"taken up before it leads again": true, "and after that": false} {
		o, _ := listener(t)
		o.Take([]AlertState{a})
		over := incidentOf(o, "shop", incident.Resolved)
		over.Alerts[0].Firing = false
		if !before {
			o, _ = listener(t)
		}
		o.Restore(nil, []incident.Incident{over}, nil)
		o.Take([]AlertState{a})
		if all := o.AlertsOf("shop", nil); len(all) != 0 {
			t.Errorf("%s: %+v", name, all)
		}
		a := a
		a.SeenAt = noon.Add(time.Minute) // it fires again
		o.Take([]AlertState{a})
		if all := o.AlertsOf("shop", nil); len(all) != 1 {
			t.Errorf("%s: it fires again, and %+v", name, all)
		}
	}
}

// TestWhatCameBackBeforeAnEarlierEndWasToldIsNotOver_S07: this replica accepted that the
// alert is back and died; the next leader knew the end of the episode before, and resolved
// the incident.
func TestWhatCameBackBeforeAnEarlierEndWasToldIsNotOver_S07(t *testing.T) {
	earlier := hint(Firing, "Down", "target", "shop")
	o, _ := listener(t)
	o.Take([]AlertState{earlier})
	earlier.State = Resolved
	o.Take([]AlertState{earlier})
	over := incidentOf(o, "shop", incident.Resolved)
	back := hint(Firing, "Down", "target", "shop")
	back.StartsAt = noon.Add(-2 * time.Minute)
	for name, before := range map[string]bool{"taken up before it leads again": true, "and after that": false} {
		next, _ := listener(t)
		if before {
			next.Take([]AlertState{back})
		}
		next.Restore(nil, []incident.Incident{over}, nil)
		if !before {
			next.Take([]AlertState{back})
		}
		if all := next.AlertsOf("shop", nil); len(all) != 1 || all[0].State != rules.Firing {
			t.Errorf("%s: %+v", name, all)
		}
	}
}

// TestTheWorseOfTwoAlertsOfOneNameSpeaksForItself_X70: the earlier and milder one does
// not hide it, and a successor calls each as the incident does.
func TestTheWorseOfTwoAlertsOfOneNameSpeaksForItself_X70(t *testing.T) {
	o, _ := listener(t)
	warning, critical := hint(Firing, "Filling", "target", "shop", "severity", "warning"), hint(Firing,
		"Filling", "target", "shop", "severity", "critical")
	critical.StartsAt = noon
	o.Take([]AlertState{warning})
	o.Take([]AlertState{critical})
	said := func(o *ExternalAlerts) string {
		var all []string
		for _, a := range o.AlertsOf("shop", seenBad) {
			all = append(all, fmt.Sprintf("%s: %s %s", a.Rule, a.Labels["severity"], a.State))
		}
		return strings.Join(all, ", ")
	}
	if got := said(o); got != "Filling: warning firing, Filling (critical): critical firing" {
		t.Errorf("%s", got)
	}
	open := incidentOf(o, "shop", incident.Open)
	next, _ := listener(t)
	next.Take([]AlertState{critical}) // its own disk knows this one only
	next.Restore([]incident.Incident{open}, nil, nil)
	if got := said(next); got != "Filling: warning firing, Filling (critical): critical firing" {
		t.Errorf("after a restart: %s", got)
	}
	critical.State = Resolved
	next.Take([]AlertState{critical})
	if got := said(next); got != "Filling: warning firing, Filling (critical): critical inactive" {
		t.Errorf("after the end of the worse: %s", got)
	}
}

// TestADroppedAlertIsLeftAside_X33_X75: nobody is told, and a configuration that does
// not drop it any more finds it.
func TestADroppedAlertIsLeftAside_X33_X75(t *testing.T) {
	o, _ := listener(t)
	dropping := NewResolver(shop, nobody)
	dropping.Drops = func(l map[string]string) bool { return l["severity"] == "none" }
	o.Use(dropping)
	w := hint(Firing, "Watchdog", "severity", "none")
	if targets, _ := o.Take([]AlertState{w, hint(Firing,
		"Down", "target", "shop", "severity", "critical")}); fmt.Sprint(targets) != "[shop]" ||
		len(o.Unwatched()) != 0 {
		t.Errorf("about %q, and unwatched are %q", targets, o.Unwatched())
	}
	if all := o.Labels(); len(all) != 2 {
		t.Errorf("it inhibits nothing: %v", all)
	}
	o.Use(NewResolver(shop, nobody))
	if fmt.Sprint(o.Unwatched()) != "[not watched: Watchdog]" {
		t.Errorf("after a reload: %q", o.Unwatched())
	}
	o.Use(dropping)
	if len(o.Unwatched()) != 0 || len(o.Labels()) != 2 {
		t.Errorf("and after another: %q, %v", o.Unwatched(), o.Labels())
	}
	w.State = Resolved
	o.Take([]AlertState{w})
	if len(o.Labels()) != 1 {
		t.Errorf("it is over: %v", o.Labels())
	}
}
