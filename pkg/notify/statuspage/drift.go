package statuspage

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

var _ notify.Drifter = (*Statuspage)(nil)

// driftAfter is how long page and measurement may differ.
const driftAfter = 5 * time.Minute

// Parts implements Drifter.
func (s *Statuspage) Parts() []string {
	parts := []string{s.components.standard}
	for _, c := range s.components.all {
		if !slices.Contains(parts, c.ID) {
			parts = append(parts, c.ID)
		}
	}
	return parts
}

// Drifts implements Drifter. With publish: off the page is nobody's business here.
func (s *Statuspage) Drifts(ctx context.Context, all []incident.Incident) ([]notify.Drift, error) {
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
	notify.Drift
	key   string
	since time.Time
}

// differ is where the page (what is unresolved on it, and its components' status)
// and the incidents contradict each other now. What a person holds does not.
func (s *Statuspage) differ(there []entry, status map[string]string, all []incident.Incident, now time.Time) []differs {
	var found []differs
	troubled := slices.ContainsFunc(there, func(p entry) bool { return !p.maintenance() })
	for _, i := range all {
		x, part := measured(i), s.components.of(i.Target.Name)
		if x.Status == "" || x.Status == resolved || i.Target.Name == incident.Self || !notify.Wanted(i, s.takes) &&
			!i.Public.Publish || s.mem.said(i, part.ID, now).Held(now) || i.Silenced() != "" {
			continue
		}
		if part.ID == "" && troubled || part.ID != "" && status[part.ID] != operational {
			continue
		}
		why := ""
		if s.mode == "ask" && i.Receipts[s.Name()].Ref == "" {
			why = fmt.Sprintf("; not published: run `watchdog publish %s`", i.ID)
		}
		found = append(found, differs{notify.Drift{Component: part.ID,
			Text: fmt.Sprintf("the status page shows operational%s, but incident %s on %s has been open since %s UTC%s",
				ofPart(part.ID), i.ID, i.Target.Name, i.OpenedAt.UTC().Format("15:04:05"), why)}, "down " + i.ID,
			i.OpenedAt})
	}
	for _, p := range there {
		o := p.ours()
		if o.Incident == "" || p.maintenance() || slices.ContainsFunc(all, func(i incident.Incident) bool {
			return i.Phase != incident.Resolved && (i.ID == o.Incident || i.Receipts[s.Name()].Ref == p.ID)
		}) {
			continue
		}
		d := differs{notify.Drift{Component: o.Component,
			Text: fmt.Sprintf("the status page shows an open entry%s (%s), but incident %s is resolved",
				ofPart(o.Component), p.ID, o.Incident)}, "over " + p.ID, time.Time{}}
		if k := slices.IndexFunc(all, func(i incident.Incident) bool { return i.ID == o.Incident }); k >= 0 {
			if s.mem.said(all[k], o.Component, now).Held(now) {
				continue
			}
			// The page is meant to be that late.
			d.since = all[k].ResolvedAt.Add(s.damping.ClearAfter + s.damping.MinUpdateInterval)
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
func (m *memory) lasting(all []differs, now time.Time) []notify.Drift {
	m.mu.Lock()
	defer m.mu.Unlock()
	still := map[string]time.Time{}
	var long []notify.Drift
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
