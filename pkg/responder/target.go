package responder

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"watchdog.io/watchdog/pkg/incident"
)

func (r Request) attribution() incident.Attribution {
	return incident.Attribution{By: r.By, Reason: r.Reason, At: r.At, Source: r.Source, Until: r.Until}
}

// workload holds or resumes what an incident is about.
func (s *Service) workload(ctx context.Context, r Request, i incident.Incident) (text, target string, err error) {
	o := Object{Namespace: i.Target.Namespace, Kind: i.Target.Kind, Name: i.Target.Workload}
	switch {
	case o.Name == "":
		return "", i.Target.String(), refuse("incident %s has no workload to hold or resume", i.ID)
	case r.Action == Hold && i.Phase == incident.Resolved:
		return "", i.Target.String(), refuse("incident %s is resolved: hold its workload with `watchdog hold %s`", i.ID,
			o)
	}
	r.Reason = cmp.Or(r.Reason, "requested in incident "+i.ID)
	return s.object(ctx, r, o)
}

// object holds or resumes a workload or a namespace. To resume ends the workload's
// quarantine, too.
func (s *Service) object(ctx context.Context, r Request, o Object) (text, target string, err error) {
	target = o.Namespace
	if o.Kind != "" {
		target = incident.Target{Namespace: o.Namespace, Kind: o.Kind, Workload: o.Name}.String()
	}
	if r.Action == Hold {
		text = fmt.Sprintf("%s: %s", o, heldUntil(r))
		if err := s.record(r, target, text); err != nil {
			return "", target, err
		}
		return text, target, s.o.Cluster.Hold(ctx, o, r.attribution())
	}
	if err := s.record(r, target, o.String()+": resumed"); err != nil {
		return "", target, err
	}
	was, err := s.o.Cluster.Resume(ctx, o, r.attribution())
	if err != nil {
		return "", target, err
	}
	quarantined, err := s.lift(ctx, o, target)
	switch {
	case err != nil:
		return "", target, err
	case was && quarantined:
		return o.String() + ": resumed, its hold and its quarantine are lifted", target, nil
	case quarantined:
		return o.String() + ": resumed, its quarantine is lifted", target, nil
	case was:
		return o.String() + ": resumed", target, nil
	}
	return o.String() + ": was not on hold", target, nil
}

// lift ends the quarantine of a workload, and reports whether there was one.
func (s *Service) lift(ctx context.Context, o Object, target string) (bool, error) {
	if o.Kind == "" {
		return false, nil
	}
	l, err := s.o.Cluster.Ledger(ctx)
	if err != nil {
		return false, err
	}
	q, on := l.Quarantined(target)
	if !on {
		return false, nil
	}
	return true, s.o.Cluster.Lift(ctx, target, q.Op)
}

// everything sets or lifts the kill switch.
func (s *Service) everything(ctx context.Context, r Request) (text, target string, err error) {
	if r.Action == Hold {
		text = "everything: " + heldUntil(r)
		if err := s.record(r, "", text); err != nil {
			return "", "", err
		}
		return text, "", s.o.Cluster.HoldAll(ctx, r.attribution())
	}
	if l, err := s.o.Cluster.Ledger(ctx); err == nil && l.Hold == nil {
		return "everything: was not on hold", "", nil
	}
	// A ledger that cannot be read is resumed all the same.
	text = "everything: resumed"
	if err := s.record(r, "", text); err != nil {
		return "", "", err
	}
	return text, "", s.o.Cluster.ResumeAll(ctx)
}

// heldUntil says for how long something is held.
func heldUntil(r Request) string {
	if r.Until.IsZero() {
		return "on hold until resumed"
	}
	return "on hold until " + r.Until.UTC().Format("2006-01-02 15:04 UTC")
}

// undo asks the leader to take back what watchdog changed.
func (s *Service) undo(ctx context.Context, r Request) (text, target string, err error) {
	if strings.TrimSpace(r.Reason) == "" {
		return "", "", refuse("a reason is required to undo")
	}
	l, err := s.o.Cluster.Ledger(ctx)
	if err != nil {
		return "", "", err
	}
	leases, err := undoable(l, r.Incident)
	if err != nil {
		return "", "", err
	}
	var lines []string
	for _, x := range leases {
		lines, target = append(lines, x.Plan.Summary+": the leader will revert it"), x.Plan.Target.String()
	}
	text = strings.Join(lines, "\n")
	if err := s.record(r, target, text); err != nil {
		return "", target, err
	}
	for _, x := range leases {
		if err := s.o.Cluster.Undo(ctx, x.Op, r.attribution()); err != nil {
			return "", target, err
		}
	}
	return text, target, nil
}

// undoable returns the leases that the name means: those of an op or an incident
// by the beginning of its id, or of a workload.
func undoable(l incident.Ledger, word string) ([]incident.Lease, error) {
	var found []incident.Lease
	ids := map[string]bool{}
	for _, x := range l.Leases {
		t, lower := x.Plan.Target, strings.ToLower(word)
		switch {
		case word == "":
		case t.Namespace+"/"+t.Workload == word, t.Name == word:
			found = append(found, x)
			ids[""] = true
		case strings.HasPrefix(x.Op, lower), strings.HasPrefix(x.Incident, lower):
			found = append(found, x)
			ids[x.Incident] = true
		}
	}
	switch {
	case len(ids) > 1:
		return nil, refuse("%d changes match %q: give more of the id", len(found), word)
	case len(found) > 0:
		return found, nil
	}
	var standing []string
	for _, x := range l.Leases {
		standing = append(standing, fmt.Sprintf("%s (%s)", x.Op, x.Plan.Summary))
	}
	slices.Sort(standing)
	if len(standing) == 0 {
		return nil, refuse("nothing to revert for %q: no change of watchdog has a lease now; a restart leaves nothing "+
			"to undo, and a rollback is undone by deploying again", word)
	}
	return nil, refuse("nothing to revert for %q; changes with a lease: %s", word, strings.Join(standing, "; "))
}
