package kube

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// A watch is asked for anew after watchFor to twice that, so that many watches are few
// requests. The API server sends a bookmark about once a minute, which proves that a quiet
// stream still delivers; one that has been silent for watchSilent has stalled, and is cut
// and asked for anew (F-12).
const (
	watchFor    = 5 * time.Minute
	watchSilent = 80 * time.Second
)

// heard is when the API server last sent something on one stream.
type heard struct {
	mu  sync.Mutex
	at  time.Time
	err error // why nothing is received; nil after each message
}

func (h *heard) now() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.err = time.Now(), nil
}

func (h *heard) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

func (h *heard) last() (time.Time, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at, h.err
}

// stream lists and watches one resource of one namespace, and notes each word
// from the API server.
type stream struct {
	client    rest.Interface
	resource  string
	namespace string
	heard     *heard
}

// IsWatchListSemanticsUnSupported keeps the reflector to list, then watch: the
// two verbs that the chart grants for it.
func (s *stream) IsWatchListSemanticsUnSupported() bool { return true }

func (s *stream) List(o metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), o)
}

func (s *stream) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), o)
}

func (s *stream) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*requestTimeout)
	defer cancel()
	list, err := s.client.Get().Namespace(s.namespace).Resource(s.resource).VersionedParams(&o,
		metav1.ParameterCodec).Do(ctx).Get()
	if err != nil {
		return nil, err
	}
	s.heard.now()
	return list, nil
}

func (s *stream) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	return listen(ctx, o, s.listen, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		return s.client.Get().Namespace(s.namespace).Resource(s.resource).VersionedParams(&o,
			metav1.ParameterCodec).Watch(ctx)
	})
}

// listen notes an event. Opening a watch proves nothing: a stalled path may
// accept it and deliver nothing.
func (s *stream) listen(e watch.Event) (watch.Event, bool) {
	if e.Type != watch.Error {
		s.heard.now()
	}
	return e, true
}

// listening is a watch that ends when it has been silent for watchSilent. It frees the
// request's context with the watch.
type listening struct {
	watch.Interface
	cancel context.CancelFunc
	quiet  *time.Timer
}

// listen opens a bounded watch that passes each event to take.
func listen(ctx context.Context, o metav1.ListOptions, take watch.FilterFunc,
	open func(context.Context, metav1.ListOptions) (watch.Interface, error)) (watch.Interface, error) {
	seconds := int64((watchFor + rand.N(watchFor)) / time.Second)
	o.Watch, o.TimeoutSeconds, o.AllowWatchBookmarks = true, &seconds, true
	ctx, cancel := context.WithCancel(ctx)
	opening := time.AfterFunc(watchSilent, cancel)
	w, err := open(ctx, o)
	opening.Stop()
	if err != nil {
		cancel()
		return nil, err
	}
	quiet := time.AfterFunc(watchSilent, w.Stop)
	return listening{watch.Filter(w, func(e watch.Event) (watch.Event, bool) {
		quiet.Reset(watchSilent)
		return take(e)
	}), cancel, quiet}, nil
}

func (l listening) Stop() {
	l.quiet.Stop()
	l.Interface.Stop()
	l.cancel()
}
