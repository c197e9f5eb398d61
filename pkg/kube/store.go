package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

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
	follower  follower
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

// object is one of watchdog's own objects. Of an incident people write the spec and
// watchdog the status, which is a sub-resource; ledgers and windows have none, so that
// both parts share one version.
type object struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metav1.ObjectMeta `json:"metadata"`
	Spec       json.RawMessage   `json:"spec,omitempty"`
	Status     json.RawMessage   `json:"status,omitempty"`
}

// incidentSpec is what an incident is about, which never changes, and what people say of it.
type incidentSpec struct {
	Target       incident.Target                         `json:"target"`
	OpenedAt     metav1.Time                             `json:"openedAt"`
	Acknowledged *incident.Attribution                   `json:"acknowledged,omitempty"`
	Severity     *incident.Grade                         `json:"severity,omitempty"`
	Public       *incident.PublicAction                  `json:"public,omitempty"`
	Notes        map[string]incident.Note                `json:"notes,omitempty"`
	Approvals    map[string]map[string]incident.Approval `json:"approvals,omitempty"`
}

func (s incidentSpec) actions() incident.ResponderActions {
	w := incident.ResponderActions{Notes: s.Notes, Approved: s.Approvals}
	if s.Acknowledged != nil {
		w.Acked = *s.Acknowledged
	}
	if s.Severity != nil {
		w.Graded = *s.Severity
	}
	if s.Public != nil {
		w.Public = *s.Public
	}
	return w
}

// incidentStatus is an incident as it is stored. The revision counts its writes: it is
// the version that the next one must find. What people write in the spec does not change
// it, so no action of theirs makes the leader lose a write.
type incidentStatus struct {
	incident.Incident
	Revision int64 `json:"revision,omitempty"`
}

func (s *Store) resource(resource string) dynamic.ResourceInterface {
	return s.c.dynamic.Resource(schema.GroupVersionResource{Group: group, Version: apiVersion,
		Resource: resource}).Namespace(s.namespace)
}

func (s *Store) request(verb, resource, name string) request {
	return request{verb, resource + "." + group, s.namespace, name}
}

// decodeIncident reads an incident, and refuses what no incident of ours can be:
// it would be stored under another name, or climb a ladder from below its foot.
func decodeIncident(o object) (incident.Stored, error) {
	var st incident.Stored
	var spec incidentSpec
	if err := json.Unmarshal(o.Spec, &spec); err != nil {
		return st, fmt.Errorf("decode spec: %w", err)
	}
	if formatOf(o.Status) > format {
		st.Newer, st.Incident = true, incident.Incident{ID: o.Metadata.Name, Target: spec.Target}
		return st, nil
	}
	var status incidentStatus
	if revisionOf(o.Status) == 0 {
		o.Status = renameVia(o.Status)
	}
	if err := json.Unmarshal(o.Status, &status); err != nil {
		return st, fmt.Errorf("decode status: %w", err)
	}
	st.Incident, st.Responders, st.Version = status.Incident, spec.actions(), versionOf(status.Revision)
	return st, plausible(st.Incident, o.Metadata.Name)
}

// plausible refuses what no incident of ours can be.
func plausible(i incident.Incident, name string) error {
	if i.ID != name {
		return fmt.Errorf("decode status: its id is %q", i.ID)
	}
	for _, a := range i.Alerts {
		if a.Next < 0 || a.Tries < 0 {
			return fmt.Errorf("decode status: rule %s is at try %d of rung %d", a.Rule, a.Tries, a.Next)
		}
	}
	if op := i.Op; op != nil && op.ID == "" {
		return errors.New("decode status: its op has no id")
	}
	return nil
}

func versionOf(revision int64) string { return strconv.FormatInt(revision, 10) }

// SaveIncident creates the incident (empty version) or replaces what was stored
// under version. It returns the new version, or incident.ErrConflict.
func (s *Store) SaveIncident(ctx context.Context, inc incident.Incident, version string) (string, error) {
	inc.Format = format
	revision := int64(0)
	if version != "" {
		n, err := strconv.ParseInt(version, 10, 64)
		if err != nil {
			return "", fmt.Errorf("store incident %s: version %q: %w", inc.ID, version, err)
		}
		revision = n
	}
	status, err := encodeStatus(incidentStatus{inc, revision + 1}, maxObject)
	if err != nil {
		return "", fmt.Errorf("store incident %s: %w", inc.ID, err)
	}
	made := ""
	if version == "" {
		if made, err = s.open(ctx, inc); err != nil {
			return "", err
		}
	}
	if err := s.swapStatus(ctx, inc.ID, version, revision, made, status); err != nil {
		return "", err
	}
	return versionOf(revision + 1), nil
}

// open makes the object of a new incident and returns its version; "" if it is there already:
// it is its own, from a try whose second half failed; if it has a status it is another's, and
// swapStatus says so.
func (s *Store) open(ctx context.Context, inc incident.Incident) (string, error) {
	spec, err := json.Marshal(incidentSpec{Target: inc.Target, OpenedAt: metav1.NewTime(inc.OpenedAt)})
	if err != nil {
		return "", fmt.Errorf("store incident %s: %w", inc.ID, err)
	}
	made, err := s.create(ctx, "incidents", object{Kind: "Incident", Metadata: metav1.ObjectMeta{Name: inc.ID}, Spec: spec})
	if errors.Is(err, incident.ErrConflict) {
		return "", nil
	}
	return made, err
}

// swapAttempts is how often a write is sent that only responder actions preceded.
const swapAttempts = 8

// swapStatus replaces the status of an incident if it is of the given revision: the API
// server tests that with the write. A status without a revision (none yet, with an empty
// version, or one of an earlier version) is replaced under the object's version: made is that
// of one that was just created, "" if it must be read.
func (s *Store) swapStatus(ctx context.Context, id, version string, revision int64, made string,
	status json.RawMessage) error {
	r := s.request("patch", "incidents/status", id)
	for range swapAttempts {
		test := edit{"test", "/status/revision", revision}
		switch {
		case made != "":
			test, made = under(made), ""
		case revision == 0:
			o, err := s.get(ctx, "incidents", id)
			if err != nil && !apierrors.IsNotFound(err) {
				return explain(s.request("get", "incidents", id), err)
			}
			if err != nil || revisionOf(o.Status) != 0 || (len(o.Status) > 0) != (version != "") {
				return fmt.Errorf("patch incidents %s/%s: %w", s.namespace, id, incident.ErrConflict)
			}
			test = under(o.Metadata.ResourceVersion)
		}
		patch, err := patchOf(test, edit{"add", "/status", status})
		if err != nil {
			return fmt.Errorf("encode incident %s: %w", id, err)
		}
		err = s.patchStatus(ctx, id, patch)
		switch {
		case err == nil:
			return nil
		case apierrors.IsConflict(err):
			continue // a person wrote the spec at the same moment
		case apierrors.IsNotFound(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
			return s.whyNot(ctx, id, revision, explain(r, err))
		}
		return explain(r, err)
	}
	return fmt.Errorf("patch incidents/status %s/%s: it changed %d times during the write; will retry",
		s.namespace, id, swapAttempts)
}

func (s *Store) patchStatus(ctx context.Context, id string, patch []byte) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := s.resource("incidents").Patch(ctx, id, types.JSONPatchType, patch,
		metav1.PatchOptions{FieldManager: FieldManager}, "status")
	return err
}

// whyNot tells an incident that somebody else wrote, or deleted, from a status that the
// API server does not take.
func (s *Store) whyNot(ctx context.Context, id string, revision int64, refused error) error {
	o, err := s.get(ctx, "incidents", id)
	switch {
	case apierrors.IsNotFound(err), err == nil && revisionOf(o.Status) != revision:
		return fmt.Errorf("patch incidents %s/%s: %w", s.namespace, id, incident.ErrConflict)
	case err != nil:
		return explain(s.request("get", "incidents", id), err)
	case apierrors.IsNotFound(refused):
		return fmt.Errorf("%w (%w)", ErrOldDefinition, refused)
	}
	return refused
}

// revisionOf reads nothing else of a status.
func revisionOf(status json.RawMessage) int64 {
	var head struct {
		Revision int64 `json:"revision"`
	}
	_ = json.Unmarshal(status, &head)
	return head.Revision
}

// Sweep deletes the objects that were made before a moment and never stored: who made them
// ended in between, or stored something else since. A new leader calls it with the zero time,
// for all of them, before it opens any. One whose status comes between list and delete stays.
// While the incidents are watched, the watch says which those are, and nothing is listed.
func (s *Store) Sweep(ctx context.Context, before time.Time) error {
	all, watched := s.follower.neverStored()
	if before.IsZero() || !watched {
		var err error
		if all, err = s.neverStored(ctx); err != nil {
			return err
		}
	}
	for _, o := range all {
		if !before.IsZero() && !o.made.Before(before) {
			continue
		}
		if err := s.deleteUnstored(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// unstored is an incident without a status.
type unstored struct {
	name, version string
	made          time.Time
}

// neverStored lists the incidents without a status.
func (s *Store) neverStored(ctx context.Context) (all []unstored, err error) {
	_, err = s.eachObject(ctx, "incidents", func(raw json.RawMessage) (string, error) {
		var o followed
		if err := json.Unmarshal(raw, &o); err != nil {
			return "", fmt.Errorf("read incident %s/%s: decode: %w", s.namespace, o.Name, err)
		}
		if !o.Status {
			all = append(all, o.unstored())
		}
		return o.Name, nil
	})
	return all, err
}

func (s *Store) deleteUnstored(ctx context.Context, o unstored) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := s.resource("incidents").Delete(ctx, o.name,
		metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &o.version}})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return explain(s.request("delete", "incidents", o.name), err)
	}
	return nil
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
	patch, err := patchOf(under(version), edit{"add", "/status", status})
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
		return nil, fmt.Errorf("%w: %d KiB; the limit is %d KiB", incident.ErrTooLarge, len(b)>>10, limit>>10)
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
