package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

// Prepare makes the store ready for a new leader, before it reads the incidents: the API
// server must keep what is stored, what was made and never stored goes, and words of an
// earlier version come to where they belong.
func (s *Store) Prepare(ctx context.Context) error {
	if err := s.CheckDefinition(ctx); err != nil {
		return err
	}
	if err := s.Sweep(ctx, time.Time{}); err != nil {
		return err
	}
	return s.MigrateResponderActions(ctx)
}

// ledgerActions are the responder actions in the ledger of an earlier version, which held those
// on all incidents.
type ledgerActions struct {
	Acked    map[string]incident.Attribution         `json:"acked"`
	Graded   map[string]incident.Grade               `json:"graded"`
	Notes    map[string]map[string]incident.Note     `json:"notes"`
	Public   map[string]incident.PublicAction        `json:"public"`
	Approved map[string]map[string]incident.Approval `json:"approved"`
}

// of returns the actions on one incident. A denial is kept; an approval must be given again, by
// whoever may patch that incident.
func (o ledgerActions) of(i incident.Incident) incident.ResponderActions {
	w := incident.ResponderActions{Acked: o.Acked[i.ID], Graded: o.Graded[i.ID], Notes: o.Notes[i.ID],
		Public: o.Public[i.ID]}
	if i.Asked == nil {
		return w
	}
	no := maps.Clone(o.Approved[i.Asked.Op])
	maps.DeleteFunc(no, func(_ string, a incident.Approval) bool { return !a.Denied })
	if len(no) > 0 {
		w.Approved = map[string]map[string]incident.Approval{i.Asked.Op: no}
	}
	return w
}

// renameVia gives the field source its name where an earlier version called it via: in
// what somebody said at some time. What is no JSON stays as it is: its reader says so.
func renameVia(raw json.RawMessage) json.RawMessage {
	if !bytes.Contains(raw, []byte(`"via":`)) {
		return raw
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var all any
	if d.Decode(&all) != nil {
		return raw
	}
	renameIn(all)
	renamed, err := json.Marshal(all)
	if err != nil {
		return raw
	}
	return renamed
}

func renameIn(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			renameIn(x)
		}
	case map[string]any:
		via, is := v["via"].(string)
		if _, said := v["at"].(string); is && said && v["source"] == nil {
			v["source"] = via
			delete(v, "via")
		}
		for _, x := range v {
			renameIn(x)
		}
	}
}

// MigrateResponderActions moves the responder actions in the ledger of an earlier version to the
// open incidents, once, and deletes them from the ledger. Actions that are on an incident
// already stay. A new leader calls it before it reads the incidents.
func (s *Store) MigrateResponderActions(ctx context.Context) error {
	o, err := s.get(ctx, "ledgers", ledgerName)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return explain(s.request("get", "ledgers", ledgerName), err)
	}
	var old ledgerActions
	if json.Unmarshal(renameVia(o.Spec), &old) != nil {
		return nil // whoever reads the ledger says so
	}
	if len(old.Acked)+len(old.Graded)+len(old.Notes)+len(old.Public)+len(old.Approved) == 0 {
		return nil
	}
	var open []string
	if err := s.EachIncident(ctx, func(st incident.Stored) error {
		if !st.Newer && st.Incident.Phase != incident.Resolved {
			open = append(open, st.Incident.ID)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, id := range open {
		if err := s.migrateIncident(ctx, id, old); err != nil {
			return fmt.Errorf("migrate the responder actions of incident %s from the ledger: %w", id, err)
		}
	}
	return s.mark(ctx, map[string]any{"acked": nil, "graded": nil, "notes": nil, "public": nil, "approved": nil})
}

func (s *Store) migrateIncident(ctx context.Context, id string, old ledgerActions) error {
	for range swapAttempts {
		i, now, version, err := s.Incident(ctx, id)
		if errors.Is(err, responder.ErrNoIncident) {
			return nil
		}
		if err != nil {
			return err
		}
		w := old.of(i)
		if !now.Acked.At.IsZero() {
			w.Acked = incident.Attribution{}
		}
		if !now.Graded.At.IsZero() {
			w.Graded = incident.Grade{}
		}
		if !now.Public.At.IsZero() {
			w.Public = incident.PublicAction{}
		}
		w.Notes = maps.Clone(w.Notes)
		maps.DeleteFunc(w.Notes, func(note string, _ incident.Note) bool { return slices.Contains(i.Noted, note) })
		if len(spec(w)) == 0 {
			return nil
		}
		if err := s.Patch(ctx, id, w, version); !errors.Is(err, responder.ErrChanged) {
			return err
		}
	}
	return responder.ErrChanged
}
