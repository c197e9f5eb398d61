package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/maintenance"
)

const windowsResource = "maintenancewindows"

// StoredWindow is a MaintenanceWindow with the version under which it may be changed.
type StoredWindow struct {
	Name    string
	Version string
	Spec    maintenance.Spec
	Status  maintenance.Status
}

// Windows returns the maintenance windows that are stored, in no order. Those that cannot
// be read are left out, and odd says which: one mistake does not hide the others.
func (s *Store) Windows(ctx context.Context) (all []StoredWindow, odd, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := s.resource(windowsResource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, missingKind(s.request("list", windowsResource, ""), err)
	}
	var odds []error
	for i := range list.Items {
		o, err := decodeObject(&list.Items[i])
		w := StoredWindow{Name: list.Items[i].GetName(), Version: list.Items[i].GetResourceVersion()}
		if err == nil {
			err = json.Unmarshal(o.Spec, &w.Spec)
		}
		if err == nil && len(o.Status) > 0 {
			err = json.Unmarshal(o.Status, &w.Status)
		}
		if err != nil {
			odds = append(odds, fmt.Errorf("read maintenance window %s/%s: %w; it has no effect; delete or correct it",
				s.namespace, w.Name, err))
			continue
		}
		all = append(all, w)
	}
	return all, errors.Join(odds...), nil
}

// CreateWindow stores a new window; incident.ErrConflict says that the name is taken.
func (s *Store) CreateWindow(ctx context.Context, name string, spec maintenance.Spec) error {
	b, err := encodeStatus(spec, maxObject)
	if err != nil {
		return fmt.Errorf("store maintenance window %s: %w", name, err)
	}
	_, err = s.create(ctx, windowsResource, object{Kind: "MaintenanceWindow", Metadata: metav1.ObjectMeta{Name: name},
		Spec: b})
	return err
}

// ChangeWindow replaces what a person wrote under version, and leaves watchdog's part.
func (s *Store) ChangeWindow(ctx context.Context, name, version string, spec maintenance.Spec) error {
	b, err := encodeStatus(spec, maxObject)
	if err != nil {
		return fmt.Errorf("change maintenance window %s: %w", name, err)
	}
	patch, err := patchOf(under(version), edit{"replace", "/spec", json.RawMessage(b)})
	if err != nil {
		return fmt.Errorf("change maintenance window %s: encode: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err = s.resource(windowsResource).Patch(ctx, name, types.JSONPatchType, patch,
		metav1.PatchOptions{FieldManager: FieldManager})
	if apierrors.IsConflict(err) {
		return fmt.Errorf("change maintenance window %s/%s: %w", s.namespace, name, incident.ErrConflict)
	}
	return explain(s.request("patch", windowsResource, name), err)
}

// SaveWindowStatus replaces watchdog's part of a window, under the version read.
func (s *Store) SaveWindowStatus(ctx context.Context, name, version string, st maintenance.Status) (string, error) {
	b, err := encodeStatus(st, maxObject)
	if err != nil {
		return "", fmt.Errorf("store maintenance window %s: %w", name, err)
	}
	return s.swap(ctx, windowsResource, name, version, b)
}
