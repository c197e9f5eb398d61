package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// ErrOldDefinition says that the cluster's CustomResourceDefinition is older than this
// watchdog: what it does not know the API server drops, and answers yes.
var ErrOldDefinition = errors.New("the CustomResourceDefinitions of watchdog.io are older than this watchdog; Helm " +
	"does not upgrade them: apply the chart's crds/ (see Upgrading in the chart's README)")

// write patches what people write in a ledger or an incident. It is refused rather than
// dropped in part: a word of which the API server kept nothing was said to nobody.
func (s *Store) write(ctx context.Context, resource, name string, patch []byte) error {
	u, err := s.resource(resource).Patch(ctx, name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		if unknownField(err) {
			return fmt.Errorf("no change was made: %w (%w)", ErrOldDefinition, err)
		}
		return err
	}
	// A server that does not know the option, or a webhook in between, may have dropped it.
	var want any
	if err := json.Unmarshal(patch, &want); err != nil {
		return fmt.Errorf("encode ledger patch: %w", err)
	}
	if gone := dropped("", want, u.Object); len(gone) > 0 {
		return fmt.Errorf("the API server dropped %s: %w", strings.Join(gone, ", "), ErrOldDefinition)
	}
	return nil
}

func unknownField(err error) bool {
	return (apierrors.IsBadRequest(err) || apierrors.IsInvalid(err)) && strings.Contains(err.Error(), "unknown field")
}

// dropped are the fields of a merge patch that the object has not.
func dropped(path string, want, have any) []string {
	fields, ok := want.(map[string]any)
	if !ok {
		return nil
	}
	o, _ := have.(map[string]any)
	var gone []string
	for name, v := range fields {
		at := strings.TrimPrefix(path+"."+name, ".")
		switch there, is := o[name]; {
		case v == nil || path == "" && name != "spec":
		case !is && !empty(v):
			gone = append(gone, at)
		case is:
			gone = append(gone, dropped(at, v, there)...)
		}
	}
	slices.Sort(gone)
	return gone
}

// empty reports whether nothing is left of a part of a patch once it is applied.
func empty(v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return v == nil
	}
	for _, x := range m {
		if !empty(x) {
			return false
		}
	}
	return true
}

// everyWord has every field that people write.
const everyWord = `{"spec":{
	"hold":{"reason":"x","by":"x","at":"2026-01-01T00:00:00Z","source":"x","until":"2026-01-01T00:00:00Z"},"lifted":{"x":"x"},
	"undo":{"x":{"reason":"x","by":"x","at":"2026-01-01T00:00:00Z","source":"x"}}}}`

// checkName is that of the incident which is never made.
const checkName = "definition-check"

// everyPart is an incident with every field that people write, and a status, which an API
// server with the status sub-resource drops.
const everyPart = `{"apiVersion":"watchdog.io/v1alpha1","kind":"Incident","metadata":{"name":"definition-check"},"spec":{
	"target":{"name":"x","namespace":"x","kind":"deployment","workload":"x"},"openedAt":"2026-01-01T00:00:00Z",
	"acknowledged":{"reason":"x","by":"x","at":"2026-01-01T00:00:00Z","source":"x","severity":"P1"},
	"public":{"publish":true,"holdUntil":"2026-01-01T00:00:00Z","reason":"x","by":"x","at":"2026-01-01T00:00:00Z","source":"x"},
	"severity":{"to":"P1","reason":"x","by":"x","at":"2026-01-01T00:00:00Z","source":"x"},
	"notes":{"x":{"as":"decision","reason":"x","by":"x","at":"2026-01-01T00:00:00Z","source":"x"}},
	"approvals":{"x":{"x":{"plan":"x","denied":true,"reason":"x","by":"x",
		"at":"2026-01-01T00:00:00Z","source":"x"}}}},"status":{"phase":"open"}}`

// CheckDefinition asks the API server, without a write, whether it would keep everything
// that people may write, and a status apart from it, and whether it lets this watchdog write
// that. ErrOldDefinition says that it would not keep it. Where an admission webhook takes no
// dry run, nothing is known, and that is no error.
func (s *Store) CheckDefinition(ctx context.Context) error {
	return errors.Join(s.checkLedgers(ctx), s.checkIncidents(ctx), s.checkStatus(ctx))
}

// checkStatus asks whether a status may be written, with a dry run on an incident that is not
// there: who has the right is told that it is not.
func (s *Store) checkStatus(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := s.resource("incidents").Patch(ctx, checkName, types.JSONPatchType,
		[]byte(`[{"op":"add","path":"/status","value":{}}]`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll},
			FieldManager: FieldManager}, "status")
	if err == nil || apierrors.IsNotFound(err) || takesNoDryRun(err) {
		return nil
	}
	return explain(s.request("patch", "incidents/status", checkName), err)
}

// takesNoDryRun tells that an admission webhook has side effects, so that the API server
// refuses the dry run.
func takesNoDryRun(err error) bool {
	return apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "does not support dry run")
}

func (s *Store) checkIncidents(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON([]byte(everyPart)); err != nil {
		return fmt.Errorf("encode the check of the incidents CRD: %w", err)
	}
	made, err := s.resource("incidents").Create(ctx, u, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll},
		FieldValidation: metav1.FieldValidationStrict})
	switch {
	case takesNoDryRun(err):
		return nil
	case unknownField(err):
		return fmt.Errorf("%w (%w)", ErrOldDefinition, err)
	case err != nil:
		return missingKind(s.request("create", "incidents", checkName), err)
	case made.Object["status"] != nil:
		return fmt.Errorf("%w (incidents have no status sub-resource)", ErrOldDefinition)
	}
	return nil
}

func (s *Store) checkLedgers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := s.resource("ledgers").Patch(ctx, ledgerName, types.MergePatchType, []byte(everyWord),
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	switch {
	case err == nil || apierrors.IsNotFound(err) || takesNoDryRun(err):
		return nil // without a ledger, the next leader asks again
	case unknownField(err):
		return fmt.Errorf("%w (%w)", ErrOldDefinition, err)
	}
	return explain(s.request("patch", "ledgers", ledgerName), err)
}
