package rules

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// outage is the longest restart after which pending alerts go on, as Prometheus'
// --rules.alert.for-outage-tolerance.
const outage = time.Hour

// Saved are the alerts that are pending or fire, as they outlive the process: an
// alert does not start its `for` again because watchdog was restarted.
type Saved struct {
	At         time.Time        `json:"at"`
	Thresholds []SavedThreshold `json:"thresholds,omitempty"`
	Instances  []SavedInstance  `json:"instances,omitempty"`
}

// SavedThreshold is the state of a threshold on a target.
type SavedThreshold struct {
	Rule   string `json:"rule"`
	Target string `json:"target"`
	State  State  `json:"state"`
}

// SavedInstance is an alert of a rule file, with what tells its rule.
type SavedInstance struct {
	Group    string        `json:"group"`
	Alert    string        `json:"alert"`
	Own      labels.Labels `json:"own"` // the rule's labels
	Instance Instance      `json:"instance"`
}

// Save writes the alerts that are pending or fire.
func (m *Manager) Save(w io.Writer) error {
	s := Saved{At: m.o.Now()}
	m.mu.Lock()
	for _, r := range m.thresholds {
		for _, c := range r.cells {
			if c.is().active() {
				s.Thresholds = append(s.Thresholds, SavedThreshold{r.Name, c.target, c.state()})
			}
		}
	}
	for _, group := range m.groups {
		for _, r := range group.rules {
			for _, a := range r.active {
				s.Instances = append(s.Instances, SavedInstance{group.key(), r.Alert, r.Labels, a})
			}
		}
	}
	m.mu.Unlock()
	return json.NewEncoder(w).Encode(s)
}

// Resume takes up what was saved before a restart, once, after the first Apply. A
// pending alert of a rule waits as long as it had left, and the time without watchdog
// does not count towards a threshold's `for`; an alert that fired goes on until its data
// says otherwise.
func (m *Manager) Resume(r io.Reader) error {
	var s Saved
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("read saved alerts: %w", err)
	}
	down := m.o.Now().Sub(s.At)
	if down > outage {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resumeThresholds(s.Thresholds)
	if down >= 0 {
		m.resumeInstances(s.Instances, down)
	}
	return nil
}

func (m *Manager) resumeThresholds(all []SavedThreshold) {
	m.unplan()
	m.kept = kept{}
	for _, t := range all {
		for _, c := range m.byTarget[t.Target] {
			if c.rule.Name != t.Rule || c.is() == Firing || t.State.State != Pending {
				continue
			}
			from := c.is()
			// Nobody looked since, so what was seen last and what is seen next do not join.
			t.State.Verdict, t.State.Unknown = NoData, "pending before the restart, not evaluated since"
			c.set(t.State)
			m.moved(c, from)
		}
	}
}

func (m *Manager) resumeInstances(all []SavedInstance, down time.Duration) {
	for _, x := range all {
		for _, group := range m.groups {
			i := slices.IndexFunc(group.rules, func(r *ruleState) bool {
				return r.Alert == x.Alert && r.Alert != "" && group.key() == x.Group && labels.Equal(r.Labels, x.Own)
			})
			if i >= 0 {
				group.rules[i].resume(x.Instance, group.Source, down)
				m.count(group.rules[i])
			}
		}
	}
}

func (r *ruleState) resume(a Instance, source string, down time.Duration) {
	if a.State == Pending {
		a.ActiveAt = a.ActiveAt.Add(down)
	}
	a.Verdict, a.Reason = NoData, string(a.State)+" before the restart, not evaluated since"
	if r.active == nil {
		r.active = map[uint64]Instance{}
	}
	r.active[a.Labels.Hash()] = a
	var same []Instance
	for _, o := range r.active {
		if o.Target == a.Target {
			same = append(same, o)
		}
	}
	r.alerts[a.Target] = r.alert(source, same, time.Time{})
}
