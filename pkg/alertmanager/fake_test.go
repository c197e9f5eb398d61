package alertmanager

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fault is how a peer answers a request that changes something.
type fault string

const (
	fine         fault = ""
	broken       fault = "500"
	applied500   fault = "500, and applied"
	reset        fault = "reset"
	appliedReset fault = "reset, and applied"
	hang         fault = "hang"
	appliedHang  fault = "hang, and applied"
	appliedHuge  fault = "a huge answer, and applied"
	appliedTrash fault = "an answer that is none, and applied"
)

func (f fault) applies() bool { return f == fine || strings.Contains(string(f), "applied") }

// cluster is what the peers of one Alertmanager share, by the rules of its own
// silence.go: who may be updated keeps its id.
type cluster struct {
	mu   sync.Mutex
	all  map[string]wire
	next int
	now  func() time.Time
	// renames: every change gives a new id, as Alertmanager does when it finds that
	// more than the end has changed.
	renames bool
}

func newCluster() *cluster {
	return &cluster{all: map[string]wire{}, now: func() time.Time { return noon }}
}

func (c *cluster) state(w wire) string {
	switch now := c.now(); {
	case now.Before(w.StartsAt):
		return pending
	case now.Before(w.EndsAt):
		return active
	}
	return expired
}

// alive are the silences that are not over, by id.
func (c *cluster) alive() []wire {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []wire
	for _, id := range slices.Sorted(maps.Keys(c.all)) {
		if c.state(c.all[id]) != expired {
			all = append(all, c.all[id])
		}
	}
	return all
}

func (c *cluster) set(w wire) (id string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	prev, known := c.all[w.ID]
	switch {
	case w.ID != "" && !known:
		return "", http.StatusNotFound
	case !w.EndsAt.After(now) || !w.EndsAt.After(w.StartsAt) || len(w.Matchers) == 0:
		return "", http.StatusBadRequest
	}
	w.Updated = &now
	keeps := known && !c.renames && fmt.Sprintf("%s", prev.Matchers) == fmt.Sprintf("%s", w.Matchers)
	switch c.state(prev) {
	case active:
		keeps = keeps && prev.StartsAt.Unix() == w.StartsAt.Unix()
	case pending:
		keeps = keeps && !w.StartsAt.Before(now)
	default:
		keeps = false
	}
	if keeps {
		c.all[w.ID] = w
		return w.ID, http.StatusOK
	}
	if known && c.state(prev) != expired {
		if c.state(prev) == pending {
			prev.StartsAt = now
		}
		prev.EndsAt = now
		c.all[prev.ID] = prev
	}
	c.next++
	w.ID = fmt.Sprintf("id-%d", c.next)
	if w.StartsAt.Before(now) {
		w.StartsAt = now
	}
	c.all[w.ID] = w
	return w.ID, http.StatusOK
}

// peer is one process of a cluster.
type peer struct {
	*cluster
	mu       sync.Mutex
	writes   []fault // of the next requests that change something
	reads    []func(http.ResponseWriter)
	requests []*http.Request
	bodies   []string
	gone     chan struct{}
	url      string
}

func (c *cluster) peer(t *testing.T) *peer {
	p := &peer{cluster: c, gone: make(chan struct{})}
	srv := httptest.NewServer(p)
	p.url = srv.URL
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(p.gone) })
	return p
}

// count is how many requests of a method came.
func (p *peer) count(method string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, r := range p.requests {
		if r.Method == method {
			n++
		}
	}
	return n
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	p.requests, p.bodies = append(p.requests, r), append(p.bodies, string(body))
	f := fine
	if r.Method != http.MethodGet && len(p.writes) > 0 {
		f, p.writes = p.writes[0], p.writes[1:]
	}
	var odd func(http.ResponseWriter)
	if r.Method == http.MethodGet && len(p.reads) > 0 {
		odd, p.reads = p.reads[0], p.reads[1:]
	}
	p.mu.Unlock()
	if odd != nil {
		odd(w)
		return
	}
	answer, status := []byte("{}"), http.StatusOK
	if f.applies() {
		answer, status = p.apply(r, body)
	}
	p.tell(w, r, f, answer, status)
}

func (p *peer) tell(w http.ResponseWriter, r *http.Request, f fault, answer []byte, status int) {
	switch f {
	case broken, applied500:
		http.Error(w, "mesh not ready", http.StatusInternalServerError)
	case reset, appliedReset:
		panic(http.ErrAbortHandler)
	case hang, appliedHang:
		select {
		case <-r.Context().Done():
		case <-p.gone:
		}
	case appliedHuge:
		w.WriteHeader(http.StatusOK)
		_, _ = io.Copy(w, io.LimitReader(zeros{}, maxAnswer+10))
	case appliedTrash:
		fmt.Fprint(w, "<html>it works</html>")
	default:
		w.WriteHeader(status)
		_, _ = w.Write(answer)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func (p *peer) apply(r *http.Request, body []byte) ([]byte, int) {
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/api/v2/silences":
		var w wire
		if err := json.Unmarshal(body, &w); err != nil {
			return []byte(err.Error()), http.StatusBadRequest
		}
		id, status := p.set(w)
		return fmt.Appendf(nil, `{"silenceID":%q}`, id), status
	case r.Method == http.MethodDelete:
		p.cluster.mu.Lock()
		defer p.cluster.mu.Unlock()
		id := strings.TrimPrefix(r.URL.Path, "/api/v2/silence/")
		s, ok := p.all[id]
		if !ok {
			return nil, http.StatusNotFound
		}
		if p.state(s) != expired {
			now := p.now()
			if p.state(s) == pending {
				s.StartsAt = now
			}
			s.EndsAt, s.Updated = now, &now
			p.all[id] = s
		}
		return nil, http.StatusOK
	case r.URL.Path == "/api/v2/status":
		return []byte(`{"cluster":{"status":"ready","peers":[{},{}]},"versionInfo":{"version":"0.34.0"},` +
			`"config":{"original":""},"uptime":"2026-03-01T11:00:00.000Z"}`), http.StatusOK
	}
	p.cluster.mu.Lock()
	defer p.cluster.mu.Unlock()
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(p.all)) {
		s := p.all[id]
		list = append(list, map[string]any{"id": s.ID, "matchers": s.Matchers,
			"startsAt":  s.StartsAt.Format("2006-01-02T15:04:05.000Z07:00"),
			"endsAt":    s.EndsAt.Format("2006-01-02T15:04:05.000Z07:00"),
			"updatedAt": s.Updated, "createdBy": s.By, "comment": s.Comment,
			"status": map[string]string{"state": p.state(s)}})
	}
	b, _ := json.Marshal(list)
	return b, http.StatusOK
}
