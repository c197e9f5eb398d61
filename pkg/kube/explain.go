package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// request names what was asked of the API server, in RBAC's words.
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
		return fmt.Errorf("%s: given up, because watchdog stops or no longer needs it: %w", r, err)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s: not found: create it, or correct the name in watchdog's configuration: %w", r, err)
	case refusedByAdmission(err):
		return fmt.Errorf("%s: an admission policy or webhook refuses it; no right is missing: make this change by hand, or change the policy (watchdog's own: chart value admissionPolicy): %w", r, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: forbidden: grant the verb %q on %q in namespace %q (chart values rbac and actions): %w", r, r.verb, r.resource, r.namespace, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: unauthorized: the credentials are missing, wrong or expired: %w", r, err)
	case apierrors.IsTooManyRequests(err):
		return fmt.Errorf("%s: the API server asks for fewer requests: %w", r, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: the API server did not answer in time: check its load and the network to it: %w", r, err)
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return fmt.Errorf("%s: no answer from the API server: check its address and the network to it: %w", r, err)
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
