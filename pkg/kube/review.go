package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"watchdog.io/watchdog/pkg/incident"
)

const reviewPrefix = "review-"

// reviewSpec is the part of a review that people write; what it says is the caller's.
type reviewSpec struct {
	Review json.RawMessage `json:"review"`
}

// Review returns what people keep of the review of an incident and the version for
// SaveReview; nothing and "" if there is none yet.
func (s *Store) Review(ctx context.Context, id string) (json.RawMessage, string, error) {
	o, err := s.get(ctx, "ledgers", reviewPrefix+id)
	if apierrors.IsNotFound(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", explain(s.request("get", "ledgers", reviewPrefix+id), err)
	}
	text, err := s.decodeReview(o)
	return text, o.Metadata.ResourceVersion, err
}

func (s *Store) decodeReview(o object) (json.RawMessage, error) {
	var spec reviewSpec
	if err := json.Unmarshal(o.Spec, &spec); err != nil {
		return nil, fmt.Errorf("read ledger %s/%s: decode spec: %w", s.namespace, o.Metadata.Name, err)
	}
	return spec.Review, nil
}

// Reviews returns all reviews that are kept, by incident. It lists, which people may
// and the daemon may not.
func (s *Store) Reviews(ctx context.Context) (map[string]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := s.resource("ledgers").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, missingKind(s.request("list", "ledgers", ""), err)
	}
	all := map[string]json.RawMessage{}
	for i := range list.Items {
		id, is := strings.CutPrefix(list.Items[i].GetName(), reviewPrefix)
		if !is {
			continue
		}
		o, err := decodeObject(&list.Items[i])
		if err != nil {
			return nil, fmt.Errorf("read ledger %s/%s: %w", s.namespace, list.Items[i].GetName(), err)
		}
		if all[id], err = s.decodeReview(o); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// SaveReview creates what is kept of a review (empty version), or replaces what was
// read under version. It returns incident.ErrConflict if somebody else was faster.
func (s *Store) SaveReview(ctx context.Context, id string, review json.RawMessage, version string) error {
	spec, err := encodeStatus(reviewSpec{review}, maxObject)
	if err != nil {
		return fmt.Errorf("store the review of incident %s: %w", id, err)
	}
	name := reviewPrefix + id
	if version == "" {
		_, err := s.create(ctx, "ledgers", object{Kind: "Ledger", Metadata: metav1.ObjectMeta{Name: name}, Spec: spec})
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	patch, err := patchOf(under(version), edit{"add", "/spec", spec})
	if err != nil {
		return fmt.Errorf("encode the review of incident %s: %w", id, err)
	}
	_, err = s.resource("ledgers").Patch(ctx, name, types.JSONPatchType, patch, metav1.PatchOptions{})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return fmt.Errorf("patch ledgers %s/%s: %w", s.namespace, name, incident.ErrConflict)
	}
	return explain(s.request("patch", "ledgers", name), err)
}
