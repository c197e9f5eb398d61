package kube

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
	"watchdog.io/watchdog/pkg/responder"
)

// Responder is the cluster as responder.Service needs it.
type Responder struct {
	*Store
	c *Client
}

// NewResponder returns it, over the rights of the client.
func NewResponder(c *Client, s *Store) Responder { return Responder{s, c} }

// Incidents lists the incidents, but for those that a newer watchdog stored.
func (r Responder) Incidents(ctx context.Context) ([]incident.Incident, error) {
	return r.Known(ctx)
}

// Ledger reads the ledger.
func (r Responder) Ledger(ctx context.Context) (incident.Ledger, error) {
	l, _, err := r.Store.Ledger(ctx)
	return l, err
}

// Hold puts a hold on a workload or a namespace. What a person holds by their own rights
// is not held again through watchdog: that would make it a hold that ends through it.
func (r Responder) Hold(ctx context.Context, o responder.Object, by incident.Attribution) error {
	if by.Source != "" {
		if held, through, err := r.held(ctx, o); err == nil && held && !through {
			return &responder.Refused{Reason: fmt.Sprintf("%s is already on hold: see `watchdog status`", o)}
		}
	}
	err := r.c.HoldTarget(ctx, o.Namespace, o.Kind, o.Name, by)
	if by.Source != "" && apierrors.IsForbidden(err) {
		// It never acts there itself, so it has no right to mark the workload.
		return &responder.Refused{Reason: fmt.Sprintf("watchdog is not allowed to annotate %s (chart value actions); use "+
			"`watchdog hold %s`", o, o)}
	}
	return notThere(o, err)
}

// Resume ends a hold. Through watchdog only one ends that began through it: an account
// that is stolen cannot lift what people hold by their own rights.
func (r Responder) Resume(ctx context.Context, o responder.Object, by incident.Attribution) (bool, error) {
	if by.Source != "" {
		held, through, err := r.held(ctx, o)
		switch {
		case err != nil:
			return false, notThere(o, err)
		case held && !through:
			return false, &responder.Refused{Reason: fmt.Sprintf("the hold on %s was not set through watchdog; lift "+
				"it with your own permissions: `watchdog resume %s`", o, o)}
		case !held:
			return false, nil
		}
	}
	was, err := r.c.ResumeTarget(ctx, o.Namespace, o.Kind, o.Name)
	return was, notThere(o, err)
}

// held reports whether an object is on hold, and whether that began through watchdog.
func (r Responder) held(ctx context.Context, o responder.Object) (held, through bool, err error) {
	annotations, err := r.c.annotations(ctx, o.Namespace, o.Kind, o.Name)
	_, held = annotations[remediate.HoldAnnotation]
	_, through = annotations[holdSource]
	return held, through, err
}

// notThere says of a missing object what is missing.
func notThere(o responder.Object, err error) error {
	switch {
	case !apierrors.IsNotFound(err):
		return err
	case o.Kind == "":
		return &responder.Refused{Reason: "no namespace " + o.Namespace}
	}
	return &responder.Refused{Reason: fmt.Sprintf("no %s %s in namespace %s", o.Kind, o.Name, o.Namespace)}
}
