package statuspage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/notify"
)

// States of a scheduled maintenance, in order.
const (
	scheduled  = "scheduled"
	inProgress = "in_progress"
	verifying  = "verifying"
	completed  = "completed"
)

var maintenanceStates = []string{scheduled, inProgress, verifying, completed}

var _ notify.Maintainer = (*Statuspage)(nil)

// planned is a maintenance as the page has it.
type planned struct {
	entry
	Name  string    `json:"name"`
	From  time.Time `json:"scheduled_for"`
	Until time.Time `json:"scheduled_until"`
}

// Maintain implements Maintainer. With publish: off nothing is posted.
func (s *Statuspage) Maintain(ctx context.Context, m notify.ScheduledMaintenance, state string) error {
	if s.mode != "ask" && s.mode != "auto" {
		return nil
	}
	rank := slices.Index(maintenanceStates, state)
	if rank < 0 || m.Key == "" {
		return fmt.Errorf("status page: maintenance %q: unknown state %q, or missing key", m.Name, state)
	}
	if len(m.Components) == 0 {
		m.Components = s.components.among(m.Targets)
	}
	var there []planned
	for _, list := range []string{"scheduled", "active_maintenance"} {
		var some []planned
		if err := s.send(ctx, "GET", s.path()+"/incidents/"+list+"?page=1&per_page=100", nil, &some); err != nil {
			return err
		}
		there = append(there, some...)
	}
	mark := markOf(m.Key)
	k := slices.IndexFunc(there, func(p planned) bool { return p.ours().Maintenance == mark })
	id, now := "", -1
	if k >= 0 {
		p := there[k]
		id, now = p.ID, slices.Index(maintenanceStates, p.Status)
		if same := p.Name == m.Name && p.From.Equal(m.From) && p.Until.Equal(m.Until); now >= rank && same {
			return nil
		}
	} else if state == completed {
		return nil // it is over there, or never was
	}
	body := map[string]any{
		"name": m.Name, "status": maintenanceStates[max(rank, now)], "scheduled_for": m.From.UTC().Format(time.RFC3339),
		"scheduled_until": m.Until.UTC().Format(time.RFC3339),
		// watchdog says itself when it begins and ends.
		"scheduled_auto_in_progress": false, "scheduled_auto_completed": false,
		"metadata": metadata{ours{Maintenance: mark}},
	}
	if rank > now {
		body["body"] = m.Body
	}
	if len(m.Components) > 0 {
		body["component_ids"] = m.Components
		if err := s.maintained(ctx, m, maintenanceStates[max(rank, now)], id, body); err != nil {
			return err
		}
	}
	_, err := s.put(ctx, id, body)
	return err
}

// maintained sets the components' status: a trouble of theirs counts for more.
func (s *Statuspage) maintained(ctx context.Context, m notify.ScheduledMaintenance, state, id string,
	body map[string]any) error {
	status := underMaintenance
	switch state {
	case scheduled:
		return nil
	case completed:
		status = operational
	}
	others, err := s.unresolved(ctx)
	if err != nil {
		return err
	}
	others = slices.DeleteFunc(others, func(p entry) bool { return p.ID == id })
	set := map[string]string{}
	for _, c := range m.Components {
		set[c] = ofComponent(c, status, others)
	}
	body["components"] = set
	return nil
}

// markOf hides a key: it may name something internal.
func markOf(key string) string {
	sum := sha256.Sum256([]byte("maintenance " + key))
	return hex.EncodeToString(sum[:8])
}
