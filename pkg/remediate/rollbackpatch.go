package remediate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// ErrMoved is returned by Fill when the workload is not what the plan was made for.
var ErrMoved = errors.New("the workload changed since the plan was made")

// templateOf names the template of a revision.
func templateOf(r Revision) *incident.Template {
	return &incident.Template{UID: r.UID, Sum: sum(r.Template)}
}

// Fill returns the plan with its merge patch, computed from the current workload. The patch
// is only sent, never stored, shown or logged: pod templates may contain secrets. A plan
// without a revision is returned unchanged.
func Fill(p incident.Plan, w Workload) (incident.Plan, error) {
	if p.Revision == nil {
		return p, nil
	}
	if fingerprint(w.Template) != p.Was {
		return p, fmt.Errorf("the pod template of %s no longer matches revision %s: %w", p.Target, p.Before, ErrMoved)
	}
	to, err := named(w, p.Revision)
	if err != nil {
		return p, err
	}
	p.Patch, err = templatePatch(w.Template, to)
	return p, err
}

// named finds a template that a plan names.
func named(w Workload, t *incident.Template) (json.RawMessage, error) {
	k := slices.IndexFunc(w.Revisions, func(r Revision) bool { return r.UID == t.UID })
	switch {
	case k < 0:
		return nil, fmt.Errorf("ReplicaSet %s of %s, whose pod template the plan would write, no longer exists: %w", t.UID,
			w.Target, ErrMoved)
	case sum(w.Revisions[k].Template) != t.Sum:
		return nil, fmt.Errorf("the pod template of ReplicaSet %s of %s does not match the plan: %w",
			w.Revisions[k].Name, w.Target, ErrMoved)
	}
	return w.Revisions[k].Template, nil
}
