package notify

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Drift is where the page has not said for too long what is measured.
type Drift struct {
	Component string // the page's id; empty: the page as a whole
	Text      string // for the team
}

// Drifter is a receiver that can be read back.
type Drifter interface {
	Notifier
	// Parts are the components that are compared.
	Parts() []string
	// Drifts compares what the public reads with the incidents, those that are over among them.
	Drifts(ctx context.Context, all []incident.Incident) ([]Drift, error)
}

var _ Drifter = (*statusPage)(nil)

// driftAfter is how long page and measurement may differ.
const driftAfter = 5 * time.Minute

// Parts implements Drifter.
func (s *statusPage) Parts() []string {
	parts := []string{s.components.standard}
	for _, c := range s.components.all {
		if !slices.Contains(parts, c.ID) {
			parts = append(parts, c.ID)
		}
	}
	return parts
}

// Drifts implements Drifter. With publish: off the page is nobody's business here.
func (s *statusPage) Drifts(ctx context.Context, all []incident.Incident) ([]Drift, error) {
	if s.mode != "ask" && s.mode != "auto" {
		return nil, nil
	}
	there, err := s.unresolved(ctx)
	if err != nil {
		return nil, err
	}
	status := map[string]string{}
	for _, id := range s.Parts() {
		var c component
		if id == "" {
			continue
		}
		if err := s.send(ctx, http.MethodGet, s.path()+"/components/"+id, nil, &c); err != nil {
			return nil, err
		}
		status[id] = c.Status
	}
	now := s.now()
	return s.mem.lasting(s.differ(there, status, all, now), now), nil
}

// differs is one difference, since when if that is known.
type differs struct {
	Drift
	key   string
	since time.Time
}

// differ is where the page (what is unresolved on it, and its components' status)
// and the incidents contradict each other now. What a person holds does not.
func (s *statusPage) differ(there []entry, status map[string]string, all []incident.Incident, now time.Time) []differs {
	var found []differs
	troubled := slices.ContainsFunc(there, func(p entry) bool { return !p.maintenance() })
	for _, i := range all {
		x, part := measured(i), s.components.of(i.Target.Name)
		if x.Status == "" || x.Status == resolved || i.Target.Name == incident.Self || !wanted(i, s.takes) && !i.Public.Publish || s.mem.said(i, part.ID, now).Held(now) || i.Silenced() != "" {
			continue
		}
		if part.ID == "" && troubled || part.ID != "" && status[part.ID] != operational {
			continue
		}
		why := ""
		if s.mode == "ask" && i.Receipts[s.Name()].Ref == "" {
			why = fmt.Sprintf("; nobody has said `watchdog publish %s`", i.ID)
		}
		found = append(found, differs{Drift{part.ID, fmt.Sprintf("the status page says operational%s while incident %s on %s goes on since %s UTC%s",
			ofPart(part.ID), i.ID, i.Target.Name, i.OpenedAt.UTC().Format("15:04:05"), why)}, "down " + i.ID, i.OpenedAt})
	}
	for _, p := range there {
		o := p.ours()
		if o.Incident == "" || p.maintenance() || slices.ContainsFunc(all, func(i incident.Incident) bool {
			return i.Phase != incident.Resolved && (i.ID == o.Incident || i.Receipts[s.Name()].Ref == p.ID)
		}) {
			continue
		}
		d := differs{Drift{o.Component, fmt.Sprintf("the status page shows trouble%s (entry %s) although incident %s is over", ofPart(o.Component), p.ID, o.Incident)}, "over " + p.ID, time.Time{}}
		if k := slices.IndexFunc(all, func(i incident.Incident) bool { return i.ID == o.Incident }); k >= 0 {
			if s.mem.said(all[k], o.Component, now).Held(now) {
				continue
			}
			// The page is meant to be that late.
			d.since = all[k].ResolvedAt.Add(s.damping.ClearAfter + s.damping.Spread)
		}
		found = append(found, d)
	}
	return found
}

func ofPart(id string) string {
	if id == "" {
		return ""
	}
	return " of component " + id
}

// lasting are the differences that have lasted too long.
func (m *memory) lasting(all []differs, now time.Time) []Drift {
	m.mu.Lock()
	defer m.mu.Unlock()
	still := map[string]time.Time{}
	var long []Drift
	for _, d := range all {
		since := d.since
		if since.IsZero() {
			if since = m.drifts[d.key]; since.IsZero() {
				since = now
			}
		}
		still[d.key] = since
		if now.Sub(since) > driftAfter {
			long = append(long, d.Drift)
		}
	}
	m.drifts = still
	return long
}
