package app

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/hints"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
)

const (
	// hintShown is for how long the end of a hint is shown, so that what was done
	// about it can be judged.
	hintShown = 15 * time.Minute
	// maxUnwatched is how many incidents may be open about what is not watched; who
	// may post alerts cannot open any number of them.
	maxUnwatched = 100
	// maxNames is how many names of alerts are told apart on one target; those beyond
	// are taken together. An incident has to fit into an object of the API server, or
	// whoever posts enough names would keep watchdog from working on that target.
	maxNames = 20
	// maxText and maxAlertName are bytes of what a sender says that go into an incident.
	maxText, maxAlertName = 300, 200
)

// moreAlerts stands for what is taken together.
const moreAlerts = "more alerts"

// outside is what other systems say, by target. A hint opens and ends incidents;
// what is done about it needs watchdog's own eyes.
type outside struct {
	now func() time.Time

	mu       sync.Mutex
	target   rules.TargetFunc
	byTarget map[string]map[hints.Key]*told
	where    map[hints.Key]string
	// apart are the names that are told apart on each target: those that came first,
	// for as long as anything is told of the target.
	apart map[string][]string
	// unheard is how many hints only an incident knows of.
	unheard int
}

// told is one hint on its target.
type told struct {
	hints.Hint
	endedAt time.Time
}

func newOutside(now func() time.Time) *outside {
	return &outside{now: now, byTarget: map[string]map[hints.Key]*told{}, where: map[hints.Key]string{}, apart: map[string][]string{}}
}

// use takes a new way to tell targets, and finds the place of each hint anew.
func (o *outside) use(target rules.TargetFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.target = target
	old := o.byTarget
	o.byTarget, o.where, o.unheard = map[string]map[hints.Key]*told{}, map[hints.Key]string{}, 0
	for _, name := range slices.Sorted(maps.Keys(old)) {
		for key, h := range old[name] {
			if h.State == forgotten {
				o.place(name, key, h) // of it only the target is known
				continue
			}
			o.place(o.find(h.Labels), key, h)
		}
	}
	for target := range o.apart {
		if o.byTarget[target] == nil {
			delete(o.apart, target)
		}
	}
}

// find says which target is meant. Beyond some number, what is not watched is
// taken together.
func (o *outside) find(set model.LabelSet) string {
	b := labels.NewScratchBuilder(len(set))
	for name, v := range set {
		b.Add(string(name), string(v))
	}
	b.Sort()
	name, watched := o.target(b.Labels())
	if watched || o.byTarget[name] != nil {
		return name
	}
	n := 0
	for t := range o.byTarget {
		if _, other := unwatchedTarget(t); other {
			n++
		}
	}
	if n >= maxUnwatched {
		return unwatched(moreAlerts, "")
	}
	return name
}

func (o *outside) place(name string, key hints.Key, h *told) {
	if o.byTarget[name] == nil {
		o.byTarget[name] = map[hints.Key]*told{}
	}
	if was := o.byTarget[name][key]; was != nil && was.State == forgotten {
		o.unheard--
	}
	if h.State == forgotten {
		o.unheard++
	}
	o.byTarget[name][key], o.where[key] = h, name
	if n := alertName(h.Hint); len(o.apart[name]) < maxNames && !slices.Contains(o.apart[name], n) {
		o.apart[name] = append(o.apart[name], n)
	}
}

// take takes changes over, and returns the targets and the names of the alerts
// that they are about.
func (o *outside) take(changed []hints.Hint) (targets, names []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	for _, h := range changed {
		key := h.Key()
		name, known := o.where[key]
		if !known {
			if h.State != hints.Firing && !o.awaited(h) {
				continue // the end of what was never heard of
			}
			name = o.find(h.Labels)
		}
		t := &told{Hint: h}
		if h.State == hints.Resolved {
			t.endedAt = now
		}
		o.place(name, key, t)
		o.settle(name, o.shownAs(name, h), key)
		targets, names = append(targets, name), append(names, alertName(h))
	}
	o.forget(now)
	slices.Sort(targets)
	slices.Sort(names)
	return slices.Compact(targets), slices.Compact(names)
}

// forgotten is the state of a hint of which only the incident knows, after a
// restart or on another replica.
const forgotten hints.Status = "forgotten"

// restore takes up the alerts of open incidents that other systems told of: until
// they are heard of again, nothing is known of them.
func (o *outside) restore(open []incident.Incident) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, i := range open {
		for _, a := range i.Alerts {
			if a.Source != remediate.SourceAlertmanager || !a.Firing || o.firing(i.Target.Name, a.Rule) {
				continue
			}
			h := hints.Hint{State: forgotten, SeenAt: a.EvaluatedAt}
			h.Labels = model.LabelSet{model.AlertNameLabel: model.LabelValue(a.Rule), "target": model.LabelValue(i.Target.Name), "severity": model.LabelValue(a.Severity)}
			h.StartsAt = a.ActiveAt
			o.place(i.Target.Name, h.Key(), &told{Hint: h})
		}
	}
}

func (o *outside) firing(target, rule string) bool {
	for _, h := range o.byTarget[target] {
		if alertName(h.Hint) == rule && h.State == hints.Firing {
			return true
		}
	}
	return false
}

// awaited reports whether the end of an alert is that of one which only an
// incident knows of.
func (o *outside) awaited(h hints.Hint) bool {
	if o.unheard == 0 {
		return false
	}
	for _, t := range o.byTarget[o.find(h.Labels)] {
		if t.State == forgotten && alertName(t.Hint) == alertName(h) {
			return true
		}
	}
	return false
}

// settle drops what only an incident knew of, now that the alert was heard of.
func (o *outside) settle(target, rule string, but hints.Key) {
	if o.unheard == 0 {
		return // and thousands of others need not be looked at
	}
	for key, t := range o.byTarget[target] {
		if key != but && t.State == forgotten && alertName(t.Hint) == rule {
			delete(o.byTarget[target], key)
			delete(o.where, key)
			o.unheard--
		}
	}
}

// forget drops what ended long ago.
func (o *outside) forget(now time.Time) {
	for target, all := range o.byTarget {
		for key, t := range all {
			if !t.endedAt.IsZero() && now.Sub(t.endedAt) > hintShown {
				delete(all, key)
				delete(o.where, key)
			}
		}
		if len(all) == 0 {
			delete(o.byTarget, target)
			delete(o.apart, target)
		}
	}
}

func alertName(h hints.Hint) string {
	return cmp.Or(cut(string(h.Labels[model.AlertNameLabel]), maxAlertName), "alert without a name")
}

// shownAs is the name under which an alert on a target is shown.
func (o *outside) shownAs(target string, h hints.Hint) string {
	if name := alertName(h); slices.Contains(o.apart[target], name) {
		return name
	}
	return moreAlerts
}

// cut shortens s to n bytes, at the end of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n -= len("…"); n > 0 && !utf8.RuneStart(s[n]); n-- {
	}
	return s[:n] + "…"
}

// alertsOf returns what other systems say of a target, one alert for each name as
// far as names are told apart, weighed against what watchdog itself sees of it.
func (o *outside) alertsOf(target string, seen []remediate.Signal) []rules.Alert {
	o.mu.Lock()
	defer o.mu.Unlock()
	byName := map[string][]*told{}
	for _, t := range o.byTarget[target] {
		name := o.shownAs(target, t.Hint)
		byName[name] = append(byName[name], t)
	}
	var all []rules.Alert
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, o.alert(target, name, byName[name], seen))
	}
	return all
}

func (o *outside) alert(target, name string, same []*told, seen []remediate.Signal) rules.Alert {
	t, firing := same[0], 0
	for _, other := range same {
		if other.State == hints.Firing {
			firing++
		}
		if cmp.Or(cmp.Compare(weight(other), weight(t)), other.StartsAt.Compare(t.StartsAt), cmp.Compare(other.Fingerprint, t.Fingerprint)) < 0 {
			t = other
		}
	}
	a := rules.Alert{
		Rule: name, Target: target, State: rules.Firing, Verdict: rules.Breach, Value: 1, Bound: 0.5, Above: true, SourceKind: remediate.SourceAlertmanager,
		ActiveAt: t.StartsAt, FiredAt: t.StartsAt, EvaluatedAt: t.SeenAt, LastDataAt: t.SeenAt, Labels: texts(t.Labels),
	}
	for _, other := range same {
		if other != t && other.State == hints.Firing {
			a.Others = append(a.Others, labels.FromMap(texts(other.Labels)))
		}
	}
	if name == moreAlerts {
		// Of all these only how bad they are is said; a route cannot mean one of them.
		a.Labels = map[string]string{model.AlertNameLabel: moreAlerts, "severity": string(t.Labels["severity"])}
	}
	text := cut(cmp.Or(string(t.Annotations["summary"]), string(t.Annotations["description"]), alertName(t.Hint)), maxText)
	switch t.State {
	case hints.Resolved:
		a.State, a.Verdict, a.Value, a.EvaluatedAt = rules.Inactive, rules.OK, 0, o.now()
		a.Reason = fmt.Sprintf("%s says that it is over", cmp.Or(t.Sender, "Alertmanager"))
		a.ActiveAt, a.FiredAt = time.Time{}, time.Time{}
	case hints.Lost:
		a.Verdict, a.Reason = rules.NoData, fmt.Sprintf("%s has not repeated it since %s: nobody knows whether it is over", cmp.Or(t.Sender, "Alertmanager"), t.SeenAt.UTC().Format(time.RFC3339))
	case forgotten:
		a.Verdict, a.Reason = rules.NoData, "it was told before the restart, and not repeated since"
	default:
		a.Reason = fmt.Sprintf("%s (told by %s)", text, cmp.Or(t.Sender, "Alertmanager"))
		switch {
		case name == moreAlerts:
			a.Reason = fmt.Sprintf("%d alerts of further names fire, the first of them %s: %s (told by %s)", firing, alertName(t.Hint), text, cmp.Or(t.Sender, "Alertmanager"))
		case firing > 1:
			a.Reason = fmt.Sprintf("%s (told by %s; %d alerts of this name)", text, cmp.Or(t.Sender, "Alertmanager"), firing)
		}
		o.weigh(&a, seen)
	}
	return a
}

// weigh holds a hint against watchdog's own signals: one that says bad makes it
// news of this moment, and if all say good, the sources contradict each other.
func (o *outside) weigh(a *rules.Alert, seen []remediate.Signal) {
	known := false
	for _, s := range seen {
		if s.Known && s.Bad {
			a.EvaluatedAt = s.At
			return
		}
		known = known || s.Known
	}
	if known {
		a.Verdict, a.Reason = rules.Conflict, a.Reason+"; watchdog itself sees nothing bad"
	}
}

func texts(set model.LabelSet) map[string]string {
	m := map[string]string{}
	for k, v := range set {
		m[string(k)] = string(v)
	}
	return m
}

// byWeight: of several alerts of one name the first of these speaks.
var byWeight = []hints.Status{hints.Firing, forgotten, hints.Lost, hints.Resolved}

func weight(t *told) int { return slices.Index(byWeight, t.State) }
