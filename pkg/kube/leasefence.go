package kube

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// ErrFenced says that a request was not sent because this replica does not lead
// (any more), or cannot be sure that it does.
var ErrFenced = errors.New("not sent: this replica does not hold the leader lease")

// fence lets mutating requests pass until a moment of the monotonic clock. A
// fence that nobody has closed lets everything pass: a command of a person has
// no lease to hold.
type fence struct {
	mu     sync.Mutex
	closed bool
	until  time.Time
}

func (f *fence) open() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.closed || time.Now().Before(f.until)
}

// extend lets requests pass until t, if a lease guards the fence.
func (f *fence) extend(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed, f.until = true, t
}

// Fence refuses from now on every mutating request but those of the lease and
// of Events (INV-05). It is what Lead does while another replica leads.
func (c *Client) Fence(context.Context) { c.fence.extend(time.Time{}) }

// Unfence lets mutating requests pass again, for as long as nobody fences.
func (c *Client) Unfence() {
	c.fence.mu.Lock()
	defer c.fence.mu.Unlock()
	c.fence.closed = false
}

// transport is the innermost of the client: what passes it is on its way. So the
// fence is asked after the rate limiter has let a request wait.
type transport struct {
	next     http.RoundTripper
	fence    *fence
	requests *prometheus.CounterVec
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if mutating(r.Method) && !exempt(r.URL.Path) && !t.fence.open() {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, ErrFenced
	}
	if sent, ok := r.Context().Value(sentKey{}).(*atomic.Bool); ok {
		sent.Store(true)
	}
	answer, err := t.next.RoundTrip(r)
	t.count(r, answer)
	noteDate(r.Context(), answer)
	return answer, err
}

// sentKey marks a context whose request notes that it left.
type sentKey struct{}

func noteSent(ctx context.Context) (context.Context, *atomic.Bool) {
	sent := &atomic.Bool{}
	return context.WithValue(ctx, sentKey{}, sent), sent
}

func mutating(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// exempt: the lease is what leadership is made of, and Events change nothing.
func exempt(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	i := slices.Index(parts, "namespaces")
	if i < 0 || i+2 >= len(parts) {
		return false
	}
	resource := parts[i+2]
	group := strings.Join(parts[max(0, i-2):i], "/")
	switch group {
	case "coordination.k8s.io/v1":
		return resource == "leases"
	case "api/v1", "events.k8s.io/v1":
		return resource == "events"
	}
	return false
}

// guardedLock opens the fence with each renewal, counted from before the request
// was sent, and gives up only a lease that is ours.
type guardedLock struct {
	resourcelock.Interface
	fence    *fence
	deadline time.Duration
	holder   string // as last read or written; used by the elector's goroutine only
	by       *occupation
	retry    time.Duration
}

// Get waits as long as the lease belongs to another installation: it is not ours to
// stand for, also while nobody holds it.
func (l *guardedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	for {
		r, raw, err := l.Interface.Get(ctx)
		if err == nil {
			l.holder = r.HolderIdentity
			other := l.by.other()
			l.by.tell(other)
			if other != "" && l.holder != l.Identity() {
				select {
				case <-ctx.Done():
					return nil, nil, ctx.Err()
				case <-time.After(l.retry):
				}
				continue
			}
		}
		return r, raw, err
	}
}

func (l *guardedLock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.noted(r, func() error { return l.Interface.Create(ctx, r) })
}

func (l *guardedLock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	if r.HolderIdentity == "" {
		l.fence.extend(time.Time{})
		if l.holder != l.Identity() {
			return errors.New("the lease was not released: another replica holds it")
		}
	}
	return l.noted(r, func() error { return l.Interface.Update(ctx, r) })
}

func (l *guardedLock) noted(r resourcelock.LeaderElectionRecord, send func() error) error {
	at := time.Now()
	if err := send(); err != nil {
		return err
	}
	l.holder = r.HolderIdentity
	if r.HolderIdentity == l.Identity() {
		l.fence.extend(at.Add(l.deadline))
	}
	return nil
}
