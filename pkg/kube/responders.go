package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

// follower keeps the responder actions of all incidents, by watching them.
type follower struct {
	mu  sync.Mutex
	all map[string]incident.ResponderActions
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
		if u, ok := o.(*unstructured.Unstructured); ok && s.follow(u) {
			heard()
		}
	}
	s.forget()
	i := cache.NewSharedIndexInformer(incidentStream{s}, &unstructured.Unstructured{}, 0, cache.Indexers{})
	// None of these can fail before the informer runs.
	_ = i.SetTransform(onlySpec)
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
			if u, ok := o.(*unstructured.Unstructured); ok {
				s.follower.mu.Lock()
				delete(s.follower.all, u.GetName())
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
	s.follower.all = nil
}

// onlySpec drops what the status holds: it may be large, and the leader wrote it itself.
func onlySpec(o any) (any, error) {
	if u, ok := o.(*unstructured.Unstructured); ok {
		delete(u.Object, "status")
		u.SetManagedFields(nil)
	}
	return o, nil
}

// follow keeps the actions of an object, and reports whether they have changed.
func (s *Store) follow(u *unstructured.Unstructured) bool {
	o, err := decodeObject(u)
	if err != nil {
		return false
	}
	w, err := actionsOf(o)
	if err != nil {
		return false // whoever reads the incident says so
	}
	s.follower.mu.Lock()
	defer s.follower.mu.Unlock()
	if s.follower.all == nil {
		s.follower.all = map[string]incident.ResponderActions{}
	}
	news := !sameActions(s.follower.all[u.GetName()], w)
	s.follower.all[u.GetName()] = w
	return news
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

func (i incidentStream) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*requestTimeout)
	defer cancel()
	return i.s.resource("incidents").List(ctx, o)
}

func (i incidentStream) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	all := func(e watch.Event) (watch.Event, bool) { return e, true }
	return listen(ctx, o, all, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		return i.s.resource("incidents").Watch(ctx, o)
	})
}
