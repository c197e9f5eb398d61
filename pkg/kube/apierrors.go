package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// request names a request to the API server, in the terms of RBAC.
type request struct {
	verb, resource, namespace, name string
}

func (r request) String() string {
	s := r.verb + " " + r.resource
	switch {
	case r.name != "" && r.namespace != "":
		s += " " + r.namespace + "/" + r.name
	case r.name != "":
		s += " " + r.name
	case r.namespace != "":
		s += " in namespace " + r.namespace
	}
	return s
}

// explain says what was tried, what happened and what to do about it. The cause
// stays wrapped.
func explain(r request, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrFenced):
		return fmt.Errorf("%s: %w", r, ErrFenced)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: cancelled: %w", r, err)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s: not found: create it, or correct the name in the configuration: %w", r, err)
	case refusedByAdmission(err):
		return fmt.Errorf("%s: denied by an admission policy or webhook, not by RBAC: make the change manually, or "+
			"adjust the policy (chart value admissionPolicy for watchdog's own): %w", r, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: forbidden: grant the verb %q on %q in namespace %q (chart values rbac and actions): %w",
			r, r.verb, r.resource, r.namespace, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: unauthorized: the credentials are missing, wrong or expired: %w", r, err)
	case apierrors.IsTooManyRequests(err):
		return fmt.Errorf("%s: too many requests: the API server throttles watchdog: %w", r, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: timeout: check the API server's load and the network: %w", r, err)
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return fmt.Errorf("%s: no response from the API server: check its address and the network: %w", r, err)
	}
	return fmt.Errorf("%s: %w", r, err)
}

// refusedByAdmission tells a policy's or a webhook's refusal from a missing right: the
// API server answers both with 403.
func refusedByAdmission(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	said := status.Status().Message
	return strings.Contains(said, "ValidatingAdmissionPolicy") || strings.Contains(said, "admission webhook")
}
