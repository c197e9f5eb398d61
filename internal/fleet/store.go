package fleet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/labels"
)

// resource is one resource of the API, with the objects that are stored of it.
type resource struct {
	group, version, name, kind string
	// cluster: its objects are in no namespace.
	cluster bool
	// status: it is a sub-resource that other writes leave alone.
	status bool

	objects map[string]*object // by namespace/name
	keys    []string           // of objects, sorted; nil: to be sorted again
	events  []event
	lost    uint64        // the version up to which events were forgotten
	changed chan struct{} // closed with the next event
}

// maxEvents is how many events of a resource are kept for watches that begin later.
const maxEvents = 20_000

// resources are all that watchdog asks for.
func resources() []*resource {
	return []*resource{
		{version: "v1", name: "namespaces", kind: "Namespace", cluster: true},
		{version: "v1", name: "pods", kind: "Pod"},
		{version: "v1", name: "services", kind: "Service"},
		{version: "v1", name: "configmaps", kind: "ConfigMap"},
		{version: "v1", name: "secrets", kind: "Secret"},
		{version: "v1", name: "events", kind: "Event"},
		{group: "apps", version: "v1", name: "deployments", kind: "Deployment"},
		{group: "apps", version: "v1", name: "replicasets", kind: "ReplicaSet"},
		{group: "apps", version: "v1", name: "statefulsets", kind: "StatefulSet"},
		{group: "apps", version: "v1", name: "daemonsets", kind: "DaemonSet"},
		{group: "batch", version: "v1", name: "jobs", kind: "Job"},
		{group: "batch", version: "v1", name: "cronjobs", kind: "CronJob"},
		{group: "autoscaling", version: "v2", name: "horizontalpodautoscalers", kind: "HorizontalPodAutoscaler"},
		{group: "policy", version: "v1", name: "poddisruptionbudgets", kind: "PodDisruptionBudget"},
		{group: "discovery.k8s.io", version: "v1", name: "endpointslices", kind: "EndpointSlice"},
		{group: "coordination.k8s.io", version: "v1", name: "leases", kind: "Lease"},
		{group: "metrics.k8s.io", version: "v1beta1", name: "pods", kind: "PodMetrics"},
		{group: custom, version: "v1alpha1", name: "incidents", kind: "Incident", status: true},
		{group: custom, version: "v1alpha1", name: "ledgers", kind: "Ledger"},
		{group: custom, version: "v1alpha1", name: "maintenancewindows", kind: "MaintenanceWindow"},
	}
}

// custom is the group of watchdog's own resources.
const custom = "watchdog.io"

func (r *resource) apiVersion() string { return strings.TrimPrefix(r.group+"/"+r.version, "/") }

// typed adds to an object what it is: in lists of built-in resources it is missing.
func (r *resource) typed(raw []byte) []byte {
	return append(fmt.Appendf(nil, `{"kind":%q,"apiVersion":%q,`, r.kind, r.apiVersion()), raw[1:]...)
}

// object is one object, as JSON without its kind.
type object struct {
	namespace, name string
	version         uint64
	labels          labels.Set
	raw             json.RawMessage
}

func (o *object) key() string { return o.namespace + "/" + o.name }

// event is one change of an object.
type event struct {
	what   string // ADDED, MODIFIED or DELETED
	object *object
}

// store holds the objects of all resources under one sequence of versions.
type store struct {
	mu        sync.RWMutex
	version   uint64
	resources map[string]*resource // by group/name
}

func newStore() *store {
	s := &store{version: 1000, resources: map[string]*resource{}}
	for _, r := range resources() {
		r.objects, r.changed = map[string]*object{}, make(chan struct{})
		s.resources[r.group+"/"+r.name] = r
	}
	return s
}

// add stores an object of the fleet. It is not safe for use while the store serves.
func (s *store) add(name string, o any) error {
	b, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode an object of %s: %w", name, err)
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		return fmt.Errorf("encode an object of %s: %w", name, err)
	}
	r := s.resources[name]
	_, err = s.keep(r, "ADDED", fields)
	clear(r.events)
	r.events, r.lost = r.events[:0], s.version
	return err
}

// keep stores fields as the next version of an object; s.mu is held.
func (s *store) keep(r *resource, what string, fields map[string]any) (*object, error) {
	s.version++
	meta, _ := fields["metadata"].(map[string]any)
	if meta == nil {
		return nil, fmt.Errorf("store an object of %s: it has no metadata", r.name)
	}
	meta["resourceVersion"] = strconv.FormatUint(s.version, 10)
	if meta["uid"] == nil {
		meta["uid"] = uid("made", int(s.version))
	}
	delete(fields, "kind")
	delete(fields, "apiVersion")
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("store an object of %s: %w", r.name, err)
	}
	o := &object{version: s.version, raw: raw, labels: labels.Set{}}
	o.namespace, _ = meta["namespace"].(string)
	o.name, _ = meta["name"].(string)
	given, _ := meta["labels"].(map[string]any)
	for k, v := range given {
		o.labels[k] = fmt.Sprint(v)
	}
	if r.objects[o.key()] == nil {
		r.keys = nil
	}
	r.objects[o.key()] = o
	r.tell(event{what, o})
	return o, nil
}

// remove deletes an object; s.mu is held.
func (s *store) remove(r *resource, o *object) {
	s.version++
	delete(r.objects, o.key())
	r.keys = nil
	gone := *o
	gone.version = s.version
	r.tell(event{"DELETED", &gone})
}

func (r *resource) tell(e event) {
	if len(r.events) >= maxEvents {
		r.lost = r.events[maxEvents/2-1].object.version
		r.events = slices.Clone(r.events[maxEvents/2:])
	}
	r.events = append(r.events, e)
	close(r.changed)
	r.changed = make(chan struct{})
}

// under are the keys of a namespace, or all with "", in order and behind a key; s.mu is held.
func (r *resource) under(namespace, behind string) []string {
	if r.keys == nil {
		r.keys = make([]string, 0, len(r.objects))
		for k := range r.objects {
			r.keys = append(r.keys, k)
		}
		slices.Sort(r.keys)
	}
	keys := r.keys
	if namespace != "" {
		from, _ := slices.BinarySearch(keys, namespace+"/")
		to, _ := slices.BinarySearch(keys, namespace+"0") // the character that follows the slash
		keys = keys[from:to]
	}
	if behind != "" {
		at, found := slices.BinarySearch(keys, behind)
		if found {
			at++
		}
		keys = keys[at:]
	}
	return keys
}
