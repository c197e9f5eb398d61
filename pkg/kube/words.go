package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

// Say writes people's words into the ledger of one version, or returns incident.ErrConflict
// (responder.ErrChanged, to the service): of
// two who say that an incident is theirs, the second is told that it is not. A ledger
// that was not there (version "") is made, to be read again.
func (s *Store) Say(ctx context.Context, w incident.Saying, version string) error {
	if version == "" {
		if _, err := s.create(ctx, "ledgers", emptyLedger(nil)); err != nil && !errors.Is(err, incident.ErrConflict) {
			return err
		}
		return fmt.Errorf("ledgers %s/%s was not there: %w, %w", s.namespace, ledgerName, incident.ErrConflict,
			responder.ErrChanged)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": version}, "spec": spec(w)})
	if err != nil {
		return fmt.Errorf("encode ledger patch: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err = s.say(ctx, ledgerName, patch)
	if apierrors.IsConflict(err) {
		return fmt.Errorf("patch ledgers %s/%s: %w, %w", s.namespace, ledgerName, incident.ErrConflict,
			responder.ErrChanged)
	}
	return explain(s.request("patch", "ledgers", ledgerName), err)
}

// spec is the part of the ledger's spec that the words are.
func spec(w incident.Saying) map[string]any {
	parts := map[string]map[string]any{"acked": {}, "graded": {}, "notes": {}, "approved": {}}
	for _, id := range w.Gone.Incidents {
		parts["acked"][id], parts["graded"][id], parts["notes"][id] = nil, nil, nil
	}
	for _, op := range w.Gone.Ops {
		parts["approved"][op] = nil
	}
	for id, m := range w.Acked {
		parts["acked"][id] = whole(m, nil)
	}
	for id, g := range w.Graded {
		parts["graded"][id] = whole(g.Attribution, map[string]any{"to": g.To})
	}
	notes := map[string]map[string]any{}
	note := func(id, k string, n any) {
		if notes[id] == nil {
			notes[id] = map[string]any{}
			parts["notes"][id] = notes[id]
		}
		notes[id][k] = n
	}
	for id, all := range w.Gone.Notes {
		for _, k := range all {
			note(id, k, nil)
		}
	}
	for id, all := range w.Notes {
		for k, n := range all {
			note(id, k, n)
		}
	}
	for op, a := range w.Approved {
		parts["approved"][op] = a
	}
	all := map[string]any{}
	for name, p := range parts {
		if len(p) > 0 {
			all[name] = p
		}
	}
	return all
}

// whole is a word that may follow another one of its kind: a patch keeps of that what it
// does not name.
func whole(m incident.Attribution, more map[string]any) map[string]any {
	w := map[string]any{"at": m.At}
	for k, v := range map[string]string{"by": m.By, "reason": m.Reason, "via": m.Source} {
		if w[k] = v; v == "" {
			w[k] = nil
		}
	}
	if m.Severity != "" {
		w["severity"] = m.Severity
	}
	for k, v := range more {
		w[k] = v
	}
	return w
}

// Publish writes a person's word on what the public reads of an incident. Every
// part of it is written: a patch keeps of an earlier word what it does not name.
func (s *Store) Publish(ctx context.Context, id string, word incident.PublicWord, gone []string) error {
	public := map[string]any{}
	for _, old := range gone {
		public[old] = nil
	}
	if word.At.IsZero() {
		word.At = time.Now().UTC().Truncate(time.Millisecond)
	}
	w := map[string]any{"by": word.By, "reason": word.Reason, "at": word.At, "publish": word.Publish, "holdUntil": nil}
	if !word.HoldUntil.IsZero() {
		w["holdUntil"] = word.HoldUntil.UTC().Truncate(time.Second)
	}
	public[id] = w
	return s.mark(ctx, map[string]any{"public": public})
}
