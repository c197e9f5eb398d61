package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

// Incident reads one incident, the responder actions on it, and the version of both, for
// Patch.
func (s *Store) Incident(ctx context.Context, id string) (incident.Incident, incident.ResponderActions, string, error) {
	o, err := s.get(ctx, "incidents", id)
	switch {
	case apierrors.IsNotFound(err), err == nil && len(o.Status) == 0:
		return incident.Incident{}, incident.ResponderActions{}, "", fmt.Errorf("get incidents %s/%s: %w", s.namespace, id,
			responder.ErrNoIncident)
	case err != nil:
		return incident.Incident{}, incident.ResponderActions{}, "", explain(s.request("get", "incidents", id), err)
	}
	st, err := decodeIncident(o)
	if err != nil {
		return incident.Incident{}, incident.ResponderActions{}, "", fmt.Errorf("read incident %s/%s: %w; delete it or repair it",
			s.namespace, id, err)
	}
	if st.Newer {
		return incident.Incident{}, incident.ResponderActions{}, "", fmt.Errorf("read incident %s/%s: %w; use its command line",
			s.namespace, id, incident.ErrNewer)
	}
	return st.Incident, st.Responders, o.Metadata.ResourceVersion, nil
}

// ResponderActions reads the responder actions on one incident. One that does not exist
// has none.
func (s *Store) ResponderActions(ctx context.Context, id string) (incident.ResponderActions, error) {
	o, err := s.get(ctx, "incidents", id)
	if apierrors.IsNotFound(err) {
		return incident.ResponderActions{}, nil
	}
	if err != nil {
		return incident.ResponderActions{}, explain(s.request("get", "incidents", id), err)
	}
	return actionsOf(o)
}

func actionsOf(o object) (incident.ResponderActions, error) {
	var spec incidentSpec
	if err := json.Unmarshal(o.Spec, &spec); err != nil {
		return incident.ResponderActions{}, fmt.Errorf("read incident %s: decode spec: %w", o.Metadata.Name, err)
	}
	return spec.actions(), nil
}

// Patch adds responder actions to an incident of one version, or returns
// responder.ErrChanged: of two responders who acknowledge it, the second one is refused.
func (s *Store) Patch(ctx context.Context, id string, p responder.Patch, version string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": version}, "spec": spec(p)})
	if err != nil {
		return fmt.Errorf("encode the update of incident %s: %w", id, err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err = s.write(ctx, "incidents", id, patch)
	switch {
	case apierrors.IsConflict(err):
		return fmt.Errorf("patch incidents %s/%s: %w", s.namespace, id, responder.ErrChanged)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("patch incidents %s/%s: %w", s.namespace, id, responder.ErrNoIncident)
	}
	return explain(s.request("patch", "incidents", id), err)
}

// spec is the part of an incident's spec that holds the actions.
func spec(p responder.Patch) map[string]any {
	all := map[string]any{}
	if !p.Acked.At.IsZero() {
		all["acknowledged"] = whole(p.Acked, nil)
	}
	if !p.Graded.At.IsZero() {
		all["severity"] = whole(p.Graded.Attribution, map[string]any{"to": p.Graded.To})
	}
	if w := p.Public; !w.At.IsZero() {
		public := map[string]any{"publish": w.Publish, "holdUntil": nil}
		if !w.HoldUntil.IsZero() {
			public["holdUntil"] = w.HoldUntil.UTC().Truncate(time.Second)
		}
		all["public"] = whole(w.Attribution, public)
	}
	if len(p.Notes) > 0 {
		all["notes"] = p.Notes
	}
	if len(p.Approved) > 0 {
		all["approvals"] = p.Approved
	}
	return all
}

// whole is an action with all its fields: a patch keeps those of the earlier action that it
// does not name.
func whole(m incident.Attribution, more map[string]any) map[string]any {
	w := map[string]any{"at": m.At}
	for k, v := range map[string]string{"by": m.By, "reason": m.Reason, "source": m.Source} {
		if w[k] = v; v == "" {
			w[k] = nil
		}
	}
	if m.Severity != "" {
		w["severity"] = m.Severity
	}
	maps.Copy(w, more)
	return w
}

// follower keeps the responder actions of all incidents, and which were never stored, by
// watching them.
type follower struct {
	mu    sync.Mutex
	all   map[string]incident.ResponderActions
	fresh map[string]unstored // those without a status
}

// neverStored are the incidents without a status; false: they are not watched.
func (f *follower) neverStored() ([]unstored, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.fresh)), f.all != nil
}

// ChangedResponderActions are the responder actions known without a request: none before Follow
// has listed the incidents, and none that are old while they cannot be watched.
func (s *Store) ChangedResponderActions(context.Context) map[string]incident.ResponderActions {
	s.follower.mu.Lock()
	defer s.follower.mu.Unlock()
	return maps.Clone(s.follower.all)
}

// Follow watches the incidents until ctx ends, and calls heard when responder actions may
// have changed. Nothing else of an object is kept.
func (s *Store) Follow(ctx context.Context, heard func(), failed func(error)) {
	take := func(o any) {
		if f, ok := o.(*followed); ok && s.follow(f) {
			heard()
		}
	}
	s.forget()
	i := cache.NewSharedIndexInformer(incidentStream{s}, &followed{}, 0, cache.Indexers{})
	// None of these can fail before the informer runs.
	_ = i.SetTransform(slim)
	_ = i.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		if ctx.Err() == nil {
			s.forget() // stale from now on: what is read with the incidents counts
			failed(explain(s.request("watch", "incidents", ""), err))
		}
	})
	_, _ = i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: take, UpdateFunc: func(_, o any) { take(o) },
		DeleteFunc: func(o any) {
			if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = gone.Obj
			}
			if f, ok := o.(*followed); ok {
				s.follower.mu.Lock()
				delete(s.follower.all, f.Name)
				delete(s.follower.fresh, f.Name)
				s.follower.mu.Unlock()
			}
		},
	})
	i.RunWithContext(ctx)
}

// forget forgets what the watch has received.
func (s *Store) forget() {
	s.follower.mu.Lock()
	defer s.follower.mu.Unlock()
	s.follower.all, s.follower.fresh = nil, nil
}

// followed is what is kept of an incident that is watched: its spec, and whether it has a status. What
// the status holds is not decoded: it may be large, and the leader wrote it itself.
type followed struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              json.RawMessage `json:"spec"`
	Status            present         `json:"status"`
}

// present reports whether a field has anything in it.
type present bool

// UnmarshalJSON decodes nothing.
func (p *present) UnmarshalJSON(b []byte) error {
	switch text := string(bytes.TrimSpace(b[:min(len(b), len("null")+1)])); text {
	case "null", "{}":
		*p = false
	default:
		*p = true
	}
	return nil
}

// DeepCopyObject implements runtime.Object. Nobody changes what is followed.
func (f *followed) DeepCopyObject() runtime.Object {
	c := *f
	return &c
}

func (f *followed) unstored() unstored {
	return unstored{f.Name, f.ResourceVersion, f.CreationTimestamp.Time}
}

// followedList is a list of them.
type followedList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []followed `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (l *followedList) DeepCopyObject() runtime.Object {
	c := *l
	c.Items = slices.Clone(l.Items)
	return &c
}

// slim drops what nobody asks for.
func slim(o any) (any, error) {
	if f, ok := o.(*followed); ok {
		f.ManagedFields, f.Labels, f.Annotations, f.OwnerReferences = nil, nil, nil, nil
	}
	return o, nil
}

// follow keeps the actions of an object, and reports whether they have changed.
func (s *Store) follow(f *followed) bool {
	var spec incidentSpec
	unreadable := len(f.Spec) == 0 || json.Unmarshal(f.Spec, &spec) != nil
	s.follower.mu.Lock()
	defer s.follower.mu.Unlock()
	if s.follower.all == nil {
		s.follower.all, s.follower.fresh = map[string]incident.ResponderActions{}, map[string]unstored{}
	}
	if delete(s.follower.fresh, f.Name); !f.Status {
		s.follower.fresh[f.Name] = f.unstored()
	}
	if unreadable {
		return false // whoever reads the incident says so
	}
	was, is := s.follower.all[f.Name], spec.actions()
	s.follower.all[f.Name] = is
	return !sameActions(was, is)
}

func sameActions(a, b incident.ResponderActions) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// incidentStream lists and watches the incidents.
type incidentStream struct{ s *Store }

// IsWatchListSemanticsUnSupported keeps the reflector to list, then watch: the two verbs
// that the chart grants for it.
func (incidentStream) IsWatchListSemanticsUnSupported() bool { return true }

func (i incidentStream) List(o metav1.ListOptions) (runtime.Object, error) {
	return i.ListWithContext(context.Background(), o)
}

func (i incidentStream) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return i.WatchWithContext(context.Background(), o)
}

// ListWithContext lists in pages of its own. What changed after the first of them, the watch tells: it
// begins at the version of that.
func (i incidentStream) ListWithContext(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	list := &followedList{}
	version, err := i.s.eachObject(ctx, "incidents", func(raw json.RawMessage) (string, error) {
		var f followed
		if err := json.Unmarshal(raw, &f); err != nil {
			return "", fmt.Errorf("read incident %s/%s: decode: %w", i.s.namespace, f.Name, err)
		}
		_, _ = slim(&f)
		list.Items = append(list.Items, f)
		return f.Name, nil
	})
	list.ResourceVersion = version
	return list, err
}

func (i incidentStream) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	all := func(e watch.Event) (watch.Event, bool) { return e, true }
	return listen(ctx, o, all, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		return i.s.c.custom.Get().Namespace(i.s.namespace).Resource("incidents").VersionedParams(&o,
			metav1.ParameterCodec).Watch(ctx)
	})
}
