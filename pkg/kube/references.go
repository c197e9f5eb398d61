package kube

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"golang.org/x/sync/errgroup"

	"watchdog.io/watchdog/pkg/remediate"
)

// metadataOnly asks for an object without its content.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// maxLooks is how many objects are looked for at once.
const maxLooks = 8

// References looks whether the objects are there, by quorum reads, and returns them
// with what was found. Of a ConfigMap the names of its keys are read if some are
// wanted, and nothing of it is kept. Secrets are not read: of them nothing is known.
func (r *Reader) References(ctx context.Context, namespace string, refs []remediate.Reference) []remediate.Reference {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found := make([]remediate.Reference, len(refs))
	var g errgroup.Group
	g.SetLimit(maxLooks)
	for i := range refs {
		g.Go(func() error { found[i] = r.reference(ctx, namespace, refs[i]); return nil })
	}
	_ = g.Wait() // none fails: what cannot be read is told with the reference
	return found
}

func (r *Reader) reference(ctx context.Context, namespace string, ref remediate.Reference) remediate.Reference {
	resource := map[string]string{"ConfigMap": "configmaps", "PersistentVolumeClaim": "persistentvolumeclaims",
		"ServiceAccount": "serviceaccounts"}[ref.Kind]
	if resource == "" {
		ref.Unknown = fmt.Sprintf("watchdog does not read %ss", ref.Kind)
		return ref
	}
	accept := metadataOnly
	if ref.Kind == "PersistentVolumeClaim" || len(ref.Keys) > 0 {
		accept = "application/json"
	}
	raw, err := r.c.core.RESTClient().Get().Namespace(namespace).Resource(resource).Name(ref.Name).SetHeader("Accept",
		accept).Do(ctx).Raw()
	if apierrors.IsNotFound(err) {
		ref.Gone = true
		return ref
	}
	var o struct {
		Metadata struct {
			DeletionTimestamp string `json:"deletionTimestamp"`
		} `json:"metadata"`
		Data       map[string]json.RawMessage `json:"data"`
		BinaryData map[string]json.RawMessage `json:"binaryData"`
		Spec       struct {
			AccessModes []string `json:"accessModes"`
		} `json:"spec"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &o)
	}
	if err != nil {
		ref.Unknown = explain(request{"get", resource, namespace, ref.Name}, err).Error()
		return ref
	}
	// A claim that is being deleted takes no new pods; the others serve until they are gone.
	ref.Gone = ref.Kind == "PersistentVolumeClaim" && o.Metadata.DeletionTimestamp != ""
	ref.AccessModes = o.Spec.AccessModes
	for _, key := range ref.Keys {
		if o.Data[key] == nil && o.BinaryData[key] == nil {
			ref.MissingKeys = append(ref.MissingKeys, key)
		}
	}
	return ref
}
