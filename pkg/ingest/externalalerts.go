package ingest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/rules"
	"watchdog.io/watchdog/pkg/strutil"
)

const (
	// hintShown is for how long the end of a hint is shown, so that what was done
	// about it can be judged.
	hintShown = 15 * time.Minute
	// maxUnwatched is how many incidents a sender may open about what is not watched
	// within hintShown, and maxOfAll how many all senders together may; who may post
	// alerts cannot open any number of them.
	maxUnwatched, maxOfAll = 100, 500
	// maxNames is how many names of alerts are distinguished on one target; those beyond
	// are taken together. An incident has to fit into an object of the API server, or
	// whoever posts enough names would keep watchdog from working on that target.
	maxNames = 20
	// graverNames is how many more are distinguished for a severity that none of them has: a
	// grave alert is not hidden among many that are less so.
	graverNames = 5
	// maxText and maxAlertName are bytes of a sender's texts that go into an incident.
	maxText, maxAlertName, maxSeverity = 300, 200, 40
)

// moreAlerts stands for what is taken together.
const moreAlerts = "more alerts"

// ExternalAlerts are the alerts of other systems, by the target that each is about.
// An alert opens and ends incidents; acting on one needs watchdog's own evidence.
// It reads no clock and no cluster but by the functions it is given: the running
// program and the simulator share it.
//
// An alert keeps its target for as long as that is configured: the pod that it named
// may be replaced meanwhile, and incidents must not move.
type ExternalAlerts struct {
	// Crowded, if set, is called with a sender when its alerts begin to share one incident.
	Crowded func(sender string)

	now func() time.Time

	mu       sync.Mutex
	resolver *Resolver
	byTarget map[string]map[string]*externalAlert // by target and identity
	where    map[string]string                    // the target of each identity
	// apart are the names that are distinguished on each target, by name and severity:
	// those that came first, for as long as the target has any alert.
	apart map[string]map[named]string
	// opener is the sender whose alert was the first on each target.
	opener map[string]string
	// unreported is how many alerts no sender has reported: only an incident knows of them.
	unreported int
	// waiting are alerts that name a pod, until it is known whose pods are whose.
	waiting map[string]AlertState
	synced  bool
	// aside are alerts that fire and are dropped by the configuration.
	aside map[string]AlertState
	// over is when alerts ended of which another leader received the end.
	over map[string]ending
}

// externalAlert is one alert on its target.
type externalAlert struct {
	AlertState
	endedAt time.Time
	shown   string // the name that its incident has for it, if only that is known
	older   bool   // an older version stored that incident: nobody knows the alert's severity
}

// anySeverity stands for the severity of an alert whose severity is unknown.
const anySeverity = "?"

// name distinguishes the alert from others on its target.
func (t *externalAlert) name() named {
	n := named{alertName(t.AlertState), strutil.Cut(string(t.Labels["severity"]), maxSeverity)}
	if t.older {
		n.severity = anySeverity
	}
	return n
}

// identity is the key of an alert, short enough to be stored with an incident.
func identity(k Key) string { return k.String()[:32] }

// NewExternalAlerts returns an empty set of alerts.
func NewExternalAlerts(now func() time.Time) *ExternalAlerts {
	return &ExternalAlerts{now: now, byTarget: map[string]map[string]*externalAlert{}, where: map[string]string{},
		apart: map[string]map[named]string{}, opener: map[string]string{}, waiting: map[string]AlertState{},
		over: map[string]ending{}, aside: map[string]AlertState{}}
}

// Use takes the targets of a new configuration. An alert whose target is not
// configured any more, or that meant none so far, is resolved anew.
func (o *ExternalAlerts) Use(r *Resolver) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.resolver = r
	old := o.byTarget
	o.byTarget, o.where, o.unreported = map[string]map[string]*externalAlert{}, map[string]string{}, 0
	for _, name := range slices.Sorted(maps.Keys(old)) {
		_, unwatched := Unwatched(name)
		for _, id := range slices.Sorted(maps.Keys(old[name])) {
			h, place := old[name][id], name
			if h.State != forgotten && r.drops(h.AlertState) {
				if h.State == Firing {
					o.aside[id] = h.AlertState
				}
				continue
			}
			if h.State != forgotten && (unwatched || !r.Configured(name)) { // of one forgotten only the target is known
				if found := o.find(h.AlertState); !unwatched || r.Configured(found) {
					place = found
				}
			}
			o.place(place, id, h)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(o.aside)) {
		if h := o.aside[id]; !r.drops(h) {
			delete(o.aside, id)
			o.place(o.find(h), id, &externalAlert{AlertState: h})
		}
	}
	for target := range o.apart {
		if o.byTarget[target] == nil {
			delete(o.apart, target)
			delete(o.opener, target)
		}
	}
}

// Labels returns the labels of all alerts that fire, those that are dropped among them.
func (o *ExternalAlerts) Labels() []map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []map[string]string
	for _, h := range o.aside {
		all = append(all, plainMap(h.Labels))
	}
	for _, alerts := range o.byTarget {
		for _, t := range alerts {
			if t.State == Firing {
				all = append(all, plainMap(t.Labels))
			}
		}
	}
	return all
}

// Synced says that the owners of pods are known from now on, as far as they will be.
// It returns the targets and names of the alerts that waited for it, as Take does.
func (o *ExternalAlerts) Synced() (targets, names []string) {
	o.mu.Lock()
	o.synced = true
	waiting := slices.SortedFunc(maps.Values(o.waiting), func(a, b AlertState) int {
		return cmp.Or(a.StartsAt.Compare(b.StartsAt), cmp.Compare(identity(a.Key()), identity(b.Key())))
	})
	clear(o.waiting)
	o.mu.Unlock()
	return o.Take(waiting)
}

// Unwatched returns the names of what is not watched and has alerts: no
// configuration lists them.
func (o *ExternalAlerts) Unwatched() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []string
	for name := range o.byTarget {
		if !o.resolver.Configured(name) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// find says which target is meant. What is not watched is taken together beyond some
// number: one collective incident for each sender.
func (o *ExternalAlerts) find(h AlertState) string {
	name, watched := o.resolver.Target(labelsOf(h.Labels))
	if watched || o.byTarget[name] != nil {
		return name
	}
	mine, all := 0, 0
	for t := range o.byTarget {
		if _, other := Unwatched(t); other {
			all++
			if o.opener[t] == h.Sender {
				mine++
			}
		}
	}
	if mine < maxUnwatched && all < maxOfAll {
		return name
	}
	return collective(h.Sender)
}

// collective names what a sender's alerts are about that are taken together.
func collective(sender string) string {
	return unwatchedName(strutil.Cut(moreAlerts+" of "+cmp.Or(sender, "Alertmanager"), maxAlertName), "")
}

// Together returns how many alerts fire that are taken together because their senders
// have opened as many incidents as they may.
func (o *ExternalAlerts) Together() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for target, all := range o.byTarget {
		if !strings.HasPrefix(target, unwatchedMark+moreAlerts) {
			continue
		}
		for _, t := range all {
			if t.State == Firing {
				n++
			}
		}
	}
	return n
}

func labelsOf(set model.LabelSet) labels.Labels {
	b := labels.NewScratchBuilder(len(set))
	for name, v := range set {
		b.Add(string(name), string(v))
	}
	b.Sort()
	return b.Labels()
}

func (o *ExternalAlerts) place(name, id string, h *externalAlert) {
	if o.byTarget[name] == nil {
		o.byTarget[name] = map[string]*externalAlert{}
	}
	if _, known := o.opener[name]; !known {
		o.opener[name] = h.Sender
		if name == collective(h.Sender) && o.Crowded != nil {
			o.Crowded(h.Sender)
		}
	}
	if was := o.byTarget[name][id]; was != nil && was.State == forgotten {
		o.unreported--
	}
	if h.State == forgotten {
		o.unreported++
	}
	o.byTarget[name][id], o.where[id] = h, name
	o.tellApart(name, h)
}

// named is an alert's name with its severity: two of one name and different
// severities are two, or the milder would hide the worse.
type named struct{ name, severity string }

// newSeverity reports whether no distinguished alert has the severity.
func newSeverity(all map[named]string, severity string) bool {
	for n := range all {
		if n.severity == severity {
			return false
		}
	}
	return true
}

// tellApart gives the alert's name and severity a name to be shown by on the target.
func (o *ExternalAlerts) tellApart(target string, h *externalAlert) {
	all := o.apart[target]
	if all == nil {
		all = map[named]string{}
		o.apart[target] = all
	}
	n := h.name()
	if _, known := all[n]; known || len(all) >= maxNames && !(len(all) < maxNames+graverNames &&
		newSeverity(all, n.severity)) {
		return
	}
	if older, known := all[named{n.name, anySeverity}]; known && n.severity != anySeverity {
		adopted := false
		for x, shown := range all {
			adopted = adopted || x.severity != anySeverity && shown == older
		}
		if !adopted {
			all[n] = older // the first that is received has its severity
			return
		}
	}
	shown := cmp.Or(h.shown, n.name)
	if h.shown == "" {
		for x := range all {
			if x.name == n.name {
				shown = rules.ShownAs(n.name, n.severity)
			}
		}
	}
	all[n] = shown
}

// Take takes changes over, and returns the targets and the names of the alerts
// that they are about.
func (o *ExternalAlerts) Take(changed []AlertState) (targets, names []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	for _, h := range changed {
		id := identity(h.Key())
		name, known := o.where[id]
		if !known {
			delete(o.waiting, id)
			delete(o.aside, id)
			switch ended, known := o.over[id]; {
			case h.State != Resolved && o.resolver.drops(h):
				if h.State == Firing {
					o.aside[id] = h
				}
				continue
			case known && ended.covers(h):
				continue // this replica's disk does not know what another one received
			case h.State != Firing && !o.awaited(h):
				continue // the end of an alert that was never received
			case h.State == Firing && !o.synced && o.resolver.NeedsOwner(labelsOf(h.Labels)):
				o.waiting[id] = h
				continue
			}
			name = o.find(h)
		}
		t := &externalAlert{AlertState: h}
		if h.State == Resolved {
			t.endedAt = now
		}
		o.place(name, id, t)
		o.settle(name, o.shownAs(name, t), id)
		targets, names = append(targets, name), append(names, alertName(h))
	}
	o.forget(now)
	slices.Sort(targets)
	slices.Sort(names)
	return slices.Compact(targets), slices.Compact(names)
}

// forgotten is the state of an alert of which only the incident knows, after a
// restart or on another replica.
const forgotten Status = "forgotten"

// Restore takes up the external alerts of open incidents: until they are received
// again, nothing is known of them. An alert whose end the store has is over, unless
// it came back since then, and so is what ended in an incident that is resolved: another
// leader received that.
func (o *ExternalAlerts) Restore(open, resolved []incident.Incident, store *Store) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended(resolved, open)
	var ends map[string]time.Time
	for _, i := range open {
		for _, a := range i.Alerts {
			if a.Source != remediate.SourceAlertmanager || !a.Firing {
				continue
			}
			if len(a.Keys) == 0 {
				if !o.firing(i.Target.Name, a.Rule) {
					o.remember(i.Target.Name, "rule "+i.Target.Name+"/"+a.Rule, a, forgotten)
				}
				continue
			}
			if ends == nil {
				ends = store.ends()
			}
			for _, id := range a.Keys {
				_, known := o.where[id]
				switch end, over := ends[id]; {
				case known:
				case over && !end.Before(a.ActiveAt):
					o.remember(i.Target.Name, id, a, Resolved)
				default:
					o.remember(i.Target.Name, id, a, forgotten)
				}
			}
		}
	}
	for _, i := range open {
		o.keepNames(i)
	}
	for id, h := range o.waiting {
		if name, known := o.where[id]; known {
			o.place(name, id, &externalAlert{AlertState: h})
			delete(o.waiting, id)
		}
	}
}

// keepNames gives the alerts on an incident's target the names that it has for them.
func (o *ExternalAlerts) keepNames(i incident.Incident) {
	target := i.Target.Name
	if len(o.apart[target]) == 0 {
		return
	}
	delete(o.apart, target)
	for _, a := range i.Alerts {
		if name := a.Labels[model.AlertNameLabel]; a.Source == remediate.SourceAlertmanager && name != "" &&
			a.Rule != moreAlerts {
			o.tellApart(target, &externalAlert{AlertState: AlertState{Alert: Alert{Labels: model.LabelSet{
				model.AlertNameLabel: model.LabelValue(name), "severity": model.LabelValue(a.Labels["severity"])}}},
				shown: a.Rule})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(o.byTarget[target])) {
		o.tellApart(target, o.byTarget[target][id])
	}
}

// ending is the end of an alert that another leader received.
type ending struct {
	at    time.Time // when its incident was over, or calm
	began time.Time // the last beginning that the incident knows; zero: it is not known
}

// covers reports whether what is on this replica's disk is over by that: it was accepted
// before, and did not begin after all that the incident knows of.
func (e ending) covers(h AlertState) bool {
	return !h.SeenAt.After(e.at) && (e.began.IsZero() || !h.StartsAt.After(e.began))
}

// ended drops what ended while another replica led: the alerts of incidents that are
// resolved, and of flapping ones that wait for a calm. What was accepted after a calm
// began is no part of it, also if the replica died of that and the calm went on to its end.
func (o *ExternalAlerts) ended(lists ...[]incident.Incident) {
	clear(o.over)
	for _, all := range lists {
		for k := range all {
			o.endings(&all[k])
		}
	}
	for id, end := range o.over {
		if h, waits := o.waiting[id]; waits && end.covers(h) {
			delete(o.waiting, id)
		}
		name, known := o.where[id]
		if t := o.byTarget[name][id]; known && end.covers(t.AlertState) {
			delete(o.byTarget[name], id)
			delete(o.where, id)
			if t.State == forgotten {
				o.unreported--
			}
		}
	}
}

// endings notes which alerts of an incident ended, and when.
func (o *ExternalAlerts) endings(i *incident.Incident) {
	at := cmp.Or(i.CalmSince, i.ResolvedAt)
	for _, a := range i.Alerts {
		var last time.Time
		if len(a.Keys) == 1 {
			last = a.ActiveAt // of several it is that of the one which speaks
		}
		for _, id := range a.Keys {
			if a.Source == remediate.SourceAlertmanager && !a.Firing && at.After(o.over[id].at) {
				o.over[id] = ending{at, last}
			}
		}
	}
}

// remember places an alert that only its incident describes.
func (o *ExternalAlerts) remember(target, id string, a incident.Alert, state Status) {
	h := AlertState{State: state, SeenAt: a.EvaluatedAt}
	name, severity := a.Labels[model.AlertNameLabel], a.Labels["severity"]
	h.Labels = model.LabelSet{model.AlertNameLabel: model.LabelValue(cmp.Or(name, a.Rule)),
		"target": model.LabelValue(target), "severity": model.LabelValue(cmp.Or(severity, string(a.Severity)))}
	h.StartsAt = a.ActiveAt
	t := &externalAlert{AlertState: h, shown: a.Rule, older: len(a.Labels) == 0}
	if state == Resolved {
		t.endedAt = o.now()
	}
	o.place(target, id, t)
}

func (o *ExternalAlerts) firing(target, rule string) bool {
	for _, h := range o.byTarget[target] {
		if o.shownAs(target, h) == rule && h.State == Firing {
			return true
		}
	}
	return false
}

// awaited reports whether the end of an alert is that of one which only an
// incident knows of, and which it does not identify.
func (o *ExternalAlerts) awaited(h AlertState) bool {
	if o.unreported == 0 {
		return false
	}
	for id, t := range o.byTarget[o.find(h)] {
		if t.State == forgotten && unidentified(id) && alertName(t.AlertState) == alertName(h) {
			return true
		}
	}
	return false
}

// unidentified is an alert of an incident that does not say which one it is: an
// older version stored it.
func unidentified(id string) bool { return strings.HasPrefix(id, "rule ") }

// settle drops what only an incident knew of, now that the alert was received.
func (o *ExternalAlerts) settle(target, rule, but string) {
	if o.unreported == 0 {
		return // and thousands of others need not be looked at
	}
	for id, t := range o.byTarget[target] {
		if id != but && t.State == forgotten && unidentified(id) &&
			(t.shown == rule || alertName(t.AlertState) == rule) {
			delete(o.byTarget[target], id)
			delete(o.where, id)
			o.unreported--
		}
	}
}

// forget drops what ended long ago.
func (o *ExternalAlerts) forget(now time.Time) {
	for target, all := range o.byTarget {
		for id, t := range all {
			if !t.endedAt.IsZero() && now.Sub(t.endedAt) > hintShown {
				delete(all, id)
				delete(o.where, id)
			}
		}
		if len(all) == 0 {
			delete(o.byTarget, target)
			delete(o.apart, target)
			delete(o.opener, target)
		}
	}
}

func alertName(h AlertState) string {
	return cmp.Or(strutil.Cut(string(h.Labels[model.AlertNameLabel]), maxAlertName), "unnamed alert")
}

// shownAs is the name under which an alert on a target is shown.
func (o *ExternalAlerts) shownAs(target string, t *externalAlert) string {
	if name, known := o.apart[target][t.name()]; known {
		return name
	}
	return moreAlerts
}

// AlertsOf returns what other systems say of a target, one alert for each name as
// far as names are distinguished, compared with watchdog's own data.
func (o *ExternalAlerts) AlertsOf(target string, seen []remediate.Signal) []rules.Alert {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.byTarget[target]) == 0 {
		return nil
	}
	byName := map[string][]keyed{}
	for id, t := range o.byTarget[target] {
		name := o.shownAs(target, t)
		byName[name] = append(byName[name], keyed{t, id})
	}
	var all []rules.Alert
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, o.alert(target, name, byName[name], seen))
	}
	return all
}

// keyed is an alert with its identity.
type keyed struct {
	*externalAlert
	id string
}

// maxKeys bounds the identities that are stored with an incident, for each name.
const maxKeys = 50

// keysOf are the identities of the alerts in order, without those that are over as long
// as others are not: a successor would wait for ends that were received already.
func keysOf(all []keyed) []string {
	var ids, over []string
	for _, x := range all {
		switch {
		case unidentified(x.id):
		case x.State == Resolved:
			over = append(over, x.id)
		default:
			ids = append(ids, x.id)
		}
	}
	if len(ids) == 0 {
		ids = over
	}
	slices.Sort(ids)
	return ids[:min(len(ids), maxKeys)]
}

func (o *ExternalAlerts) alert(target, name string, same []keyed, seen []remediate.Signal) rules.Alert {
	t, firing := same[0].externalAlert, 0
	for _, x := range same {
		other := x.externalAlert
		if other.State == Firing {
			firing++
		}
		if cmp.Or(cmp.Compare(weight(other), weight(t)), other.StartsAt.Compare(t.StartsAt),
			cmp.Compare(other.Fingerprint, t.Fingerprint)) < 0 {
			t = other
		}
	}
	a := rules.Alert{
		Rule: name, Target: target, State: rules.Firing, Verdict: rules.Breach, Value: 1, Bound: 0.5, Above: true,
		SourceKind: remediate.SourceAlertmanager,
		ActiveAt:   t.StartsAt, FiredAt: t.StartsAt, EvaluatedAt: t.SeenAt, LastDataAt: t.SeenAt,
		Labels: plainMap(t.Labels), Annotations: plainMap(t.Annotations), Link: t.GeneratorURL,
	}
	a.Keys = keysOf(same)
	for _, x := range same {
		if other := x.externalAlert; other != t && other.State == Firing {
			a.Others = append(a.Others, labels.FromMap(plainMap(other.Labels)))
		}
	}
	if name == moreAlerts {
		// Of all these only the severity is reported; a route cannot match one of them.
		a.Labels = map[string]string{model.AlertNameLabel: moreAlerts, "severity": string(t.Labels["severity"])}
		a.Annotations, a.Link = nil, ""
	}
	text := strutil.Cut(cmp.Or(string(t.Annotations["summary"]), string(t.Annotations["description"]),
		alertName(t.AlertState)), maxText)
	switch t.State {
	case Resolved:
		a.State, a.Verdict, a.Value, a.EvaluatedAt = rules.Inactive, rules.OK, 0, o.now()
		a.Reason = fmt.Sprintf("resolved by %s", cmp.Or(t.Sender, "Alertmanager"))
		a.FiredAt = time.Time{}
	case Lost:
		a.Verdict, a.Reason = rules.NoData, fmt.Sprintf("%s has not repeated it since %s; it may have resolved",
			cmp.Or(t.Sender, "Alertmanager"), t.SeenAt.UTC().Format(time.RFC3339))
	case forgotten:
		a.Verdict, a.Reason = rules.NoData, "received before the restart, and not repeated since"
	default:
		a.Reason = fmt.Sprintf("%s (reported by %s)", text, cmp.Or(t.Sender, "Alertmanager"))
		switch {
		case name == moreAlerts:
			a.Reason = fmt.Sprintf("%d alerts with other names are firing, the first of them %s: %s (reported by %s)",
				firing, alertName(t.AlertState), text, cmp.Or(t.Sender, "Alertmanager"))
		case firing > 1:
			a.Reason = fmt.Sprintf("%s (reported by %s; %d alerts of this name)", text, cmp.Or(t.Sender, "Alertmanager"),
				firing)
		}
		o.weigh(&a, seen)
	}
	return a
}

// weigh compares an external alert with watchdog's own signals: one that is bad confirms it
// as of now, and if all are good, the sources contradict each other.
func (o *ExternalAlerts) weigh(a *rules.Alert, seen []remediate.Signal) {
	known := false
	for _, s := range seen {
		if s.Known && s.Bad {
			a.EvaluatedAt = s.At
			return
		}
		known = known || s.Known
	}
	if known {
		a.Verdict, a.Reason = rules.Conflict, a.Reason+"; watchdog's own data shows no problem"
	}
}

func plainMap(set model.LabelSet) map[string]string {
	m := map[string]string{}
	for k, v := range set {
		m[string(k)] = string(v)
	}
	return m
}

// byWeight: of several alerts of one name the first of these speaks.
var byWeight = []Status{Firing, forgotten, Lost, Resolved}

func weight(t *externalAlert) int { return slices.Index(byWeight, t.State) }
