package kube

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// StaleAfter is how long the API server may be silent before the watcher's word
// of a workload counts as an error. A quiet watch gets a bookmark about once a minute.
const StaleAfter = 90 * time.Second

// Watched is one workload to keep in memory, with the Service whose endpoints
// are counted (or none).
type Watched struct {
	Namespace string
	Kind      string // lower case: deployment, statefulset, daemonset
	Name      string
	Service   string
}

// WatcherOptions are the watcher's edges; both are optional.
type WatcherOptions struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Watcher keeps the watched workloads of a cluster in memory. Namespaces are
// watched, not workloads: a thousand targets in one namespace cost five watches.
type Watcher struct {
	c       *Client
	log     *slog.Logger
	metrics *metrics

	mu       sync.Mutex
	ctx      context.Context // of Run; nil before and after
	running  sync.WaitGroup
	scopes   map[string]*scope  // by namespace
	watched  map[string]Watched // by namespace/kind/name
	wantKind map[string]map[string]bool
}

// NewWatcher returns a watcher that watches nothing yet.
func NewWatcher(c *Client, o WatcherOptions) (*Watcher, error) {
	w := &Watcher{c: c, log: o.Logger, scopes: map[string]*scope{}, watched: map[string]Watched{},
		wantKind: map[string]map[string]bool{}}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	var err error
	w.metrics, err = newMetrics(o.Registerer, func() float64 { return w.silence().Seconds() },
		func() float64 { return w.usageAge().Seconds() })
	return w, err
}

// Watch replaces what is watched. Watches that stay are not interrupted.
func (w *Watcher) Watch(all []Watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.watched)
	clear(w.wantKind)
	for _, x := range all {
		x.Kind = strings.ToLower(x.Kind)
		w.watched[x.Namespace+"/"+x.Kind+"/"+x.Name] = x
		if w.wantKind[x.Namespace] == nil {
			w.wantKind[x.Namespace] = map[string]bool{}
		}
		w.wantKind[x.Namespace][x.Kind] = true
	}
	w.adjust()
}

// Run watches until ctx ends, and returns when every watch has ended.
func (w *Watcher) Run(ctx context.Context) error {
	w.mu.Lock()
	w.ctx = ctx
	w.adjust()
	w.running.Go(func() { newMeter(w.c, w.log).run(ctx, w.usages) })
	w.mu.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	w.ctx = nil
	w.mu.Unlock()
	w.running.Wait()
	return nil
}

// adjust starts and stops scopes; w.mu is held.
func (w *Watcher) adjust() {
	if w.ctx == nil {
		return
	}
	for ns, s := range w.scopes {
		if w.wantKind[ns] == nil {
			s.stop()
			delete(w.scopes, ns)
		}
	}
	for ns, kinds := range w.wantKind {
		s := w.scopes[ns]
		if s == nil {
			s = newScope(w.c, ns, w.log.With("namespace", ns), w.metrics)
			var ctx context.Context
			ctx, s.stop = context.WithCancel(w.ctx)
			s.ctx = ctx
			w.scopes[ns] = s
		}
		for _, i := range s.need(kinds) {
			w.running.Go(func() { i.RunWithContext(s.ctx) })
		}
	}
}

// State returns what is known of a watched workload. It answers from memory. An
// error says that nothing can be said: not watched, not read yet, not found,
// forbidden, or the API server has been silent for longer than StaleAfter.
func (w *Watcher) State(namespace, kind, name string) (WorkloadState, error) {
	s, x, err := w.find(namespace, kind, name)
	if err != nil {
		return WorkloadState{}, err
	}
	return s.state(x, time.Now())
}

// Newest returns what State says of a workload's newest revision, at less cost: its UID, empty
// if it is not known, and its number.
func (w *Watcher) Newest(namespace, kind, name string) (uid string, number int64) {
	s, x, err := w.find(namespace, kind, name)
	if err != nil {
		return "", 0
	}
	v := &view{s: s}
	_, owner, err := s.object(v, x)
	if err != nil {
		return "", 0
	}
	var st WorkloadState
	if st.addRevisions(v, x, owner); v.err != nil {
		return "", 0
	}
	return st.Revision, st.RevisionNumber
}

func (w *Watcher) find(namespace, kind, name string) (*scope, Watched, error) {
	kind = strings.ToLower(kind)
	w.mu.Lock()
	defer w.mu.Unlock()
	x, ok := w.watched[namespace+"/"+kind+"/"+name]
	s := w.scopes[namespace]
	if !ok || s == nil {
		return nil, Watched{}, fmt.Errorf("%s/%s/%s is not watched (yet)", namespace, kind, name)
	}
	return s, x, nil
}

// silence is for how long the quietest watch has been silent.
func (w *Watcher) silence() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	longest := time.Duration(0)
	for _, s := range w.scopes {
		if at := s.oldest(); !at.IsZero() {
			longest = max(longest, time.Since(at))
		}
	}
	return longest
}

// usages are those of the namespaces that are watched, by name.
func (w *Watcher) usages() []*usage {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*usage
	for _, ns := range slices.Sorted(maps.Keys(w.scopes)) {
		all = append(all, w.scopes[ns].usage)
	}
	return all
}

// usageAge is how old the oldest usage of pods is.
func (w *Watcher) usageAge() time.Duration {
	oldest, now := time.Duration(0), time.Now()
	for _, u := range w.usages() {
		oldest = max(oldest, u.age(now))
	}
	return oldest
}
