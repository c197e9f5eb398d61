package fleet

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Targets is the HTTP server of all targets. Each has an address of its own, so that connections
// are not shared more than they would be in a cluster: 127.1.0.0 is the first, 127.1.0.1 the
// second.
type Targets struct {
	// The first Hang targets never answer, the next Slow ones take a second, and the next Failing
	// ones answer 503; the others are well.
	Hang, Slow, Failing int

	mu       sync.Mutex
	started  time.Time
	arrived  map[arrival]time.Time
	gaps     []time.Duration
	requests int
	opened   int // connections
}

// arrival is what arrives regularly: requests for one path of one target.
type arrival struct {
	target int
	path   string
}

// NewTargets returns targets that are well.
func NewTargets() *Targets { return &Targets{started: time.Now(), arrived: map[arrival]time.Time{}} }

// address of a target.
func (t target) address() string { return fmt.Sprintf("127.%d.%d.%d", 1+t>>16, t>>8&255, t&255) }

// numberOf is the target that was called by an address, or -1.
func numberOf(a net.Addr) int {
	t, ok := a.(*net.TCPAddr)
	if !ok || t.IP.To4() == nil {
		return -1
	}
	ip := t.IP.To4()
	return (int(ip[1])-1)<<16 | int(ip[2])<<8 | int(ip[3])
}

// ServeHTTP implements http.Handler.
func (t *Targets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/fleet/arrivals" {
		reply(w, http.StatusOK, t.take())
		return
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	n := numberOf(local)
	t.note(n, r.URL.Path)
	switch {
	case n < t.Hang:
		<-r.Context().Done()
		return
	case n < t.Hang+t.Slow:
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		select {
		case <-r.Context().Done():
		case <-timer.C:
		}
	}
	bad := n >= t.Hang+t.Slow && n < t.Hang+t.Slow+t.Failing
	now := time.Now()
	switch {
	case strings.HasSuffix(r.URL.Path, "/metrics/sla"):
		sla(w, now, bad)
	case strings.HasSuffix(r.URL.Path, "/health"):
		t.health(w, now, bad)
	case bad:
		http.Error(w, "out of order", http.StatusServiceUnavailable)
	default:
		_, _ = w.Write([]byte("ok\n")) // the client may be gone
	}
}

func (t *Targets) health(w http.ResponseWriter, now time.Time, bad bool) {
	word, status := "healthy", http.StatusOK
	if bad {
		word, status = "unhealthy", http.StatusServiceUnavailable
	}
	reply(w, status, map[string]any{"status": word, "timestamp": now.UTC().Format(time.RFC3339), "version": "1.4.2",
		"uptime": int(now.Sub(t.started).Seconds()) + 3600, "checks": map[string]string{"database": word, "redis": word}})
}

func sla(w http.ResponseWriter, now time.Time, bad bool) {
	rate := 0.02
	if bad {
		rate = 40
	}
	reply(w, http.StatusOK, map[string]any{"timestamp": now.UTC().Format(time.RFC3339), "window_seconds": 60,
		"requests": 1200, "uptime_percent": 100 - rate, "error_rate_percent": rate,
		"response_time_ms": map[string]float64{"p50": 40, "p95": 120, "p99": 240}})
}

func (t *Targets) note(target int, path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	a := arrival{target, path}
	if before, known := t.arrived[a]; known && target >= t.Hang {
		t.gaps = append(t.gaps, now.Sub(before))
	}
	t.arrived[a] = now
	t.requests++
}

// connection counts connections as they are opened.
func (t *Targets) connection(_ net.Conn, s http.ConnState) {
	if s == http.StateNew {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.opened++
	}
}

// Arrivals tell how regularly targets that do not hang were asked, since they were last read.
type Arrivals struct {
	Requests int
	// Connections are those that were opened.
	Connections int
	// Median, P99 and Worst are the times between two requests to the same URL, or since the last.
	Median, P99, Worst time.Duration
}

// take returns the arrivals and begins anew.
func (t *Targets) take() Arrivals {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := Arrivals{Requests: t.requests, Connections: t.opened}
	now := time.Now()
	for x, last := range t.arrived {
		if x.target >= t.Hang {
			a.Worst = max(a.Worst, now.Sub(last))
		}
	}
	if n := len(t.gaps); n > 0 {
		slices.Sort(t.gaps)
		a.Median, a.P99, a.Worst = t.gaps[n/2], t.gaps[n*99/100], max(a.Worst, t.gaps[n-1])
	}
	t.requests, t.opened, t.gaps = 0, 0, t.gaps[:0]
	return a
}

// loopback accepts connections to all addresses of 127.0.0.0/8, and no others.
type loopback struct{ net.Listener }

// listenLoopback returns the listener, and its port.
func listenLoopback() (net.Listener, int, error) {
	l, err := net.Listen("tcp4", ":0")
	if err != nil {
		return nil, 0, fmt.Errorf("listen for the targets: %w", err)
	}
	port := 0
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		port = a.Port
	}
	return loopback{l}, port, nil
}

// Accept implements net.Listener.
func (l loopback) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if a, ok := c.RemoteAddr().(*net.TCPAddr); ok && a.IP.IsLoopback() {
			return c, nil
		}
		_ = c.Close()
	}
}
