package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"watchdog.io/watchdog/pkg/incident"
)

const (
	group      = "watchdog.io"
	apiVersion = "v1alpha1"
	// maxObject keeps objects far from etcd's limit and lists quick.
	maxObject = 256 << 10
	// maxRecordsObject is larger: there is one such object per namespace, and its
	// size follows from the number of workloads.
	maxRecordsObject = 1 << 20
)

// Store keeps watchdog's own objects in its own namespace. Each write is one
// request that succeeds only on the version that was read.
type Store struct {
	c         *Client
	namespace string
	reading   bool // a missing ledger is not created
}

// NewStore returns the daemon's store over the namespace that watchdog is installed in.
func NewStore(c *Client, namespace string) *Store { return &Store{c: c, namespace: namespace} }

// OpenStore returns a store for people's commands: what reads does not write, so a
// missing ledger is an empty one.
func OpenStore(c *Client, namespace string) *Store {
	return &Store{c: c, namespace: namespace, reading: true}
}

// format is the version of what is stored. One that is higher was written by a
// newer watchdog and is not guessed at; objects without one are of the first.
const format = 1

// formatOf reads nothing else of a status.
func formatOf(status json.RawMessage) int {
	var head struct {
		Format int `json:"format"`
	}
	_ = json.Unmarshal(status, &head)
	return head.Format
}

// object is one of watchdog's own objects. They have no status sub-resource, so
// that spec and status are written as one.
type object struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metav1.ObjectMeta `json:"metadata"`
	Spec       json.RawMessage   `json:"spec,omitempty"`
	Status     json.RawMessage   `json:"status,omitempty"`
}

// incidentSpec is the part of an incident that never changes.
type incidentSpec struct {
	Target   incident.Target `json:"target"`
	OpenedAt metav1.Time     `json:"openedAt"`
}

func (s *Store) resource(resource string) dynamic.ResourceInterface {
	return s.c.dynamic.Resource(schema.GroupVersionResource{Group: group, Version: apiVersion,
		Resource: resource}).Namespace(s.namespace)
}

func (s *Store) request(verb, resource, name string) request {
	return request{verb, resource + "." + group, s.namespace, name}
}

// Incidents returns all incidents that are stored, in no order. An object that
// cannot be read makes the whole call fail: half a memory is worse than none.
func (s *Store) Incidents(ctx context.Context) ([]incident.Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := s.resource("incidents").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, missingKind(s.request("list", "incidents", ""), err)
	}
	all := make([]incident.Stored, 0, len(list.Items))
	for i := range list.Items {
		o, err := decodeObject(&list.Items[i])
		if err != nil {
			return nil, fmt.Errorf("read incident %s/%s: %w", s.namespace, list.Items[i].GetName(), err)
		}
		st, err := decodeIncident(o)
		if err != nil {
			return nil, fmt.Errorf("read incident %s/%s: %w; delete or correct it", s.namespace, o.Metadata.Name, err)
		}
		all = append(all, st)
	}
	return all, nil
}

// decodeIncident reads an incident, and refuses what no incident of ours can be:
// it would be stored under another name, or climb a ladder from below its foot.
func decodeIncident(o object) (incident.Stored, error) {
	st := incident.Stored{Version: o.Metadata.ResourceVersion}
	if formatOf(o.Status) > format {
		var spec incidentSpec
		if err := json.Unmarshal(o.Spec, &spec); err != nil {
			return st, fmt.Errorf("decode spec: %w", err)
		}
		st.Newer, st.Incident = true, incident.Incident{ID: o.Metadata.Name, Target: spec.Target}
		return st, nil
	}
	if err := json.Unmarshal(o.Status, &st.Incident); err != nil {
		return st, fmt.Errorf("decode status: %w", err)
	}
	if st.Incident.ID != o.Metadata.Name {
		return st, fmt.Errorf("decode status: its id is %q", st.Incident.ID)
	}
	for _, a := range st.Incident.Alerts {
		if a.Next < 0 || a.Tries < 0 {
			return st, fmt.Errorf("decode status: rule %s is at try %d of rung %d", a.Rule, a.Tries, a.Next)
		}
	}
	if op := st.Incident.Op; op != nil && op.ID == "" {
		return st, errors.New("decode status: its op has no id")
	}
	return st, nil
}

// SaveIncident creates the incident (empty version) or replaces what was stored
// under version. It returns the new version, or incident.ErrConflict.
func (s *Store) SaveIncident(ctx context.Context, inc incident.Incident, version string) (string, error) {
	inc.Format = format
	status, err := encodeStatus(inc, maxObject)
	if err != nil {
		return "", fmt.Errorf("store incident %s: %w", inc.ID, err)
	}
	if version != "" {
		return s.swap(ctx, "incidents", inc.ID, version, status)
	}
	spec, err := json.Marshal(incidentSpec{Target: inc.Target, OpenedAt: metav1.NewTime(inc.OpenedAt)})
	if err != nil {
		return "", fmt.Errorf("store incident %s: %w", inc.ID, err)
	}
	return s.create(ctx, "incidents", object{Kind: "Incident", Metadata: metav1.ObjectMeta{Name: inc.ID}, Spec: spec,
		Status: status})
}

// DeleteIncident forgets an incident. One that is already gone is no error.
func (s *Store) DeleteIncident(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := s.resource("incidents").Delete(ctx, id, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return explain(s.request("delete", "incidents", id), err)
}

func (s *Store) get(ctx context.Context, resource, name string) (object, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	u, err := s.resource(resource).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return object{}, err
	}
	return decodeObject(u)
}

func (s *Store) create(ctx context.Context, resource string, o object) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	o.APIVersion, o.Metadata.Namespace = group+"/"+apiVersion, s.namespace
	b, err := json.Marshal(o)
	u := &unstructured.Unstructured{}
	if err == nil {
		err = u.UnmarshalJSON(b)
	}
	if err != nil {
		return "", fmt.Errorf("encode %s %s: %w", o.Kind, o.Metadata.Name, err)
	}
	made, err := s.resource(resource).Create(ctx, u, metav1.CreateOptions{FieldManager: FieldManager})
	if apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("create %s %s/%s: %w", resource, s.namespace, o.Metadata.Name, incident.ErrConflict)
	}
	if err != nil {
		return "", missingKind(s.request("create", resource, o.Metadata.Name), err)
	}
	return made.GetResourceVersion(), nil
}

// swap replaces the status under a version, and touches nothing else: a person's
// labels, annotations and hold stay.
func (s *Store) swap(ctx context.Context, resource, name, version string, status json.RawMessage) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": version},
		{"op": "add", "path": "/status", "value": status},
	})
	if err != nil {
		return "", fmt.Errorf("encode %s %s: %w", resource, name, err)
	}
	u, err := s.resource(resource).Patch(ctx, name, types.JSONPatchType, patch,
		metav1.PatchOptions{FieldManager: FieldManager})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return "", fmt.Errorf("patch %s %s/%s: %w", resource, s.namespace, name, incident.ErrConflict)
	}
	if err != nil {
		return "", explain(s.request("patch", resource, name), err)
	}
	return u.GetResourceVersion(), nil
}

func encodeStatus(v any, limit int) (json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if len(b) > limit {
		return nil, fmt.Errorf("object too large: %d KiB; the limit is %d KiB", len(b)>>10, limit>>10)
	}
	return b, nil
}

func decodeObject(u *unstructured.Unstructured) (object, error) {
	var o object
	b, err := u.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err != nil {
		return object{}, fmt.Errorf("decode: %w", err)
	}
	return o, nil
}

// missingKind tells a missing custom resource definition from a missing object:
// lists and creations find nothing missing but the kind, or the namespace.
func missingKind(r request, err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s: unknown resource: install the chart's custom resource definitions (kubectl apply -f "+
			"crds/) and check the namespace: %w", r, err)
	}
	return explain(r, err)
}
