package kube

import (
	"context"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Say writes people's words into the ledger. It is one patch that names nothing
// else, so two people who speak at once are both heard.
func (s *Store) Say(ctx context.Context, w incident.Saying) error {
	parts := map[string]map[string]any{"acked": {}, "graded": {}, "notes": {}, "approved": {}}
	for _, id := range w.Gone.Incidents {
		parts["acked"][id], parts["graded"][id], parts["notes"][id] = nil, nil, nil
	}
	for _, op := range w.Gone.Ops {
		parts["approved"][op] = nil
	}
	for id, m := range w.Acked {
		parts["acked"][id] = m
	}
	for id, g := range w.Graded {
		parts["graded"][id] = g
	}
	for id, n := range w.Notes {
		parts["notes"][id] = n
	}
	for op, a := range w.Approved {
		parts["approved"][op] = a
	}
	spec := map[string]any{}
	for name, p := range parts {
		if len(p) > 0 {
			spec[name] = p
		}
	}
	return s.mark(ctx, spec)
}

// Publish writes a person's word on what the public reads of an incident. Every
// part of it is written: a patch keeps of an earlier word what it does not name.
func (s *Store) Publish(ctx context.Context, id string, word incident.PublicWord, gone []string) error {
	public := map[string]any{}
	for _, old := range gone {
		public[old] = nil
	}
	w := map[string]any{"by": word.By, "reason": word.Reason, "at": time.Now().UTC().Truncate(time.Millisecond), "publish": word.Publish, "holdUntil": nil}
	if !word.HoldUntil.IsZero() {
		w["holdUntil"] = word.HoldUntil.UTC().Truncate(time.Second)
	}
	public[id] = w
	return s.mark(ctx, map[string]any{"public": public})
}
