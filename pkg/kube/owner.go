package kube

import (
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/pkg/remediate"
)

// Marks that controllers leave on what they own.
const (
	argoTracking = "argocd.argoproj.io/tracking-id"
	argoPrefix   = "argocd.argoproj.io/"
	argoInstance = "argocd.argoproj.io/instance"
	appInstance  = "app.kubernetes.io/instance"
	fluxKustom   = "kustomize.toolkit.fluxcd.io/"
	fluxHelm     = "helm.toolkit.fluxcd.io/"
)

// owner names the controller that would undo a change of the object; "" if none
// is known. Helm alone is none: it changes nothing until somebody runs it.
func owner(meta metav1.ObjectMeta, managers []remediate.Manager) string {
	if app, ok := argoApplication(meta); ok {
		return "Argo CD application " + app
	}
	if name := meta.Labels[fluxKustom+"name"]; name != "" {
		return "Flux kustomization " + meta.Labels[fluxKustom+"namespace"] + "/" + name
	}
	if name := meta.Labels[fluxHelm+"name"]; name != "" {
		return "Flux helm release " + meta.Labels[fluxHelm+"namespace"] + "/" + name
	}
	if o := controller(meta); o != "" {
		return o
	}
	for _, m := range managers {
		if !m.Template {
			continue
		}
		switch m.Name {
		case "argocd-controller", "argocd-application-controller":
			return "Argo CD (field manager " + m.Name + ")"
		case "kustomize-controller", "helm-controller":
			return "Flux (field manager " + m.Name + ")"
		}
	}
	return ""
}

// argoApplication finds the application by annotation, by Argo CD's own label, or
// by the common label together with any annotation of Argo CD: the label alone is
// on everything that Helm installs.
func argoApplication(meta metav1.ObjectMeta) (string, bool) {
	if id, ok := meta.Annotations[argoTracking]; ok {
		app, _, _ := strings.Cut(id, ":")
		return app, true
	}
	if app := meta.Labels[argoInstance]; app != "" {
		return app, true
	}
	for key := range meta.Annotations {
		if app := meta.Labels[appInstance]; app != "" && strings.HasPrefix(key, argoPrefix) {
			return app, true
		}
	}
	return "", false
}

func controller(meta metav1.ObjectMeta) string {
	for _, ref := range meta.OwnerReferences {
		switch {
		case ref.Kind == "ClusterServiceVersion":
			return "OLM ClusterServiceVersion " + ref.Name
		case ref.Kind == "Canary" && strings.HasPrefix(ref.APIVersion, "flagger.app/"):
			return "Flagger canary " + ref.Name
		case ref.Controller != nil && *ref.Controller, ref.Kind == "Rollout":
			return ref.Kind + " " + ref.Name
		}
	}
	return ""
}

// managers reads who wrote what from managedFields, newest first.
func managers(fields []metav1.ManagedFieldsEntry) []remediate.Manager {
	var all []remediate.Manager
	for _, e := range fields {
		m := remediate.Manager{Name: e.Manager}
		if e.Time != nil {
			m.At = e.Time.Time
		}
		var set struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if e.FieldsV1 == nil || json.Unmarshal(e.FieldsV1.GetRawBytes(), &set) != nil {
			all = append(all, m)
			continue
		}
		_, m.Replicas = set.Spec["f:replicas"]
		_, m.Template = set.Spec["f:template"]
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b remediate.Manager) int { return b.At.Compare(a.At) })
	return all
}

// ownerOfAutoscaler names the controller that would undo a change of an autoscaler.
// KEDA's copies the labels of its ScaledObject, those of other controllers among
// them, and may have any name: what made it says so by its owner reference.
func ownerOfAutoscaler(meta metav1.ObjectMeta) string {
	for _, ref := range meta.OwnerReferences {
		if ref.Kind == "ScaledObject" {
			return "ScaledObject " + ref.Name
		}
	}
	if name := meta.Labels["scaledobject.keda.sh/name"]; name != "" {
		return "ScaledObject " + name
	}
	return owner(meta, nil)
}
