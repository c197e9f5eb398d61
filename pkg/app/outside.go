package app

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

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
)

// outside is what other systems say, by target. A hint opens and ends incidents;
// what is done about it needs watchdog's own eyes.
type outside struct {
	now func() time.Time

	mu       sync.Mutex
	target   rules.TargetFunc
	byTarget map[string]map[hints.Key]*told
	where    map[hints.Key]string
}

// told is one hint on its target.
type told struct {
	hints.Hint
	endedAt time.Time
}

func newOutside(now func() time.Time) *outside {
	return &outside{now: now, byTarget: map[string]map[hints.Key]*told{}, where: map[hints.Key]string{}}
}

// use takes a new way to tell targets, and finds the place of each hint anew.
func (o *outside) use(target rules.TargetFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.target = target
	old := o.byTarget
	o.byTarget, o.where = map[string]map[hints.Key]*told{}, map[hints.Key]string{}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		for key, h := range old[name] {
			if h.State == forgotten {
				o.place(name, key, h) // of it only the target is known
				continue
			}
			o.place(o.find(h.Labels), key, h)
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
		return unwatched("more alerts", "")
	}
	return name
}

func (o *outside) place(name string, key hints.Key, h *told) {
	if o.byTarget[name] == nil {
		o.byTarget[name] = map[hints.Key]*told{}
	}
	o.byTarget[name][key], o.where[key] = h, name
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
		o.settle(name, alertName(h), key)
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
	for _, t := range o.byTarget[o.find(h.Labels)] {
		if t.State == forgotten && alertName(t.Hint) == alertName(h) {
			return true
		}
	}
	return false
}

// settle drops what only an incident knew of, now that the alert was heard of.
func (o *outside) settle(target, rule string, but hints.Key) {
	for key, t := range o.byTarget[target] {
		if key != but && t.State == forgotten && alertName(t.Hint) == rule {
			delete(o.byTarget[target], key)
			delete(o.where, key)
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
		}
	}
}

func alertName(h hints.Hint) string {
	return cmp.Or(string(h.Labels[model.AlertNameLabel]), "alert without a name")
}

// alertsOf returns what other systems say of a target, one alert for each name,
// weighed against what watchdog itself sees of it.
func (o *outside) alertsOf(target string, seen []remediate.Signal) []rules.Alert {
	o.mu.Lock()
	defer o.mu.Unlock()
	byName := map[string][]*told{}
	for _, t := range o.byTarget[target] {
		byName[alertName(t.Hint)] = append(byName[alertName(t.Hint)], t)
	}
	var all []rules.Alert
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, o.alert(target, name, byName[name], seen))
	}
	return all
}

func (o *outside) alert(target, name string, same []*told, seen []remediate.Signal) rules.Alert {
	slices.SortFunc(same, func(a, b *told) int {
		return cmp.Or(cmp.Compare(weight(a), weight(b)), a.StartsAt.Compare(b.StartsAt), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	t := same[0]
	a := rules.Alert{
		Rule: name, Target: target, State: rules.Firing, Verdict: rules.Breach, Value: 1, Bound: 0.5, Above: true, SourceKind: remediate.SourceAlertmanager,
		ActiveAt: t.StartsAt, FiredAt: t.StartsAt, EvaluatedAt: t.SeenAt, LastDataAt: t.SeenAt, Labels: texts(t.Labels),
	}
	for _, other := range same[1:] {
		if other.State == hints.Firing {
			a.Others = append(a.Others, labels.FromMap(texts(other.Labels)))
		}
	}
	text := cmp.Or(string(t.Annotations["summary"]), string(t.Annotations["description"]), name)
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
		if n := len(same); n > 1 && same[1].State == hints.Firing {
			a.Reason = fmt.Sprintf("%s (told by %s; %d alerts of this name)", text, cmp.Or(t.Sender, "Alertmanager"), n)
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

func weight(t *told) int {
	return slices.Index([]hints.Status{hints.Firing, forgotten, hints.Lost, hints.Resolved}, t.State)
}
