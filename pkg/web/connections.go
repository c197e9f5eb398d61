package web

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Limits of each listener (SEC-29). With HTTP/1.1 a connection is one request at a
// time, so they also bound the requests in flight.
const (
	// maxConnections are open at once.
	maxConnections = 512
	// maxPerAddress of them may be from one remote address: a quarter, so that no
	// single address takes the room of others. It is no smaller, because an ingress, the
	// sidecar of a service mesh or a NAT gateway is one address for all its clients.
	maxPerAddress = 128
	// refusalsQuiet is how long the log says nothing after a line about refused connections.
	refusalsQuiet = time.Minute
)

// The reasons for which a connection is refused.
const (
	allTaken   = "all"     // maxConnections are open
	shareTaken = "address" // maxPerAddress are open from its address
)

// RefusedConnections returns the counter of refused connections, for
// [Options.RefusedConnections].
func RefusedConnections(r prometheus.Registerer) *prometheus.CounterVec {
	return promauto.With(r).NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Subsystem: "http", Name: "refused_connections_total", Help: "Connections that were closed unread because too many were open, by listener (web, metrics) and reason: all (512 on this listener), address (128 from one remote address)."}, []string{"listener", "reason"})
}

// bounded is a listener with a limit on open connections, and one on those from one
// remote address. Connections beyond are closed at once: one that waits costs a
// descriptor, and its client learns nothing.
type bounded struct {
	net.Listener
	name    string // label of the metric
	most    int
	share   int
	logger  *slog.Logger
	refused *prometheus.CounterVec // nil: nobody counts

	mu     sync.Mutex
	open   int
	by     map[netip.Addr]int
	logged time.Time // when the last line was logged
	silent int       // refusals since then
}

func bound(l net.Listener, name string, o Options) *bounded {
	b := &bounded{Listener: l, name: name, most: maxConnections, share: maxPerAddress, logger: o.Logger, refused: o.RefusedConnections, by: map[netip.Addr]int{}}
	if b.refused != nil {
		b.refused.WithLabelValues(name, allTaken)
		b.refused.WithLabelValues(name, shareTaken)
	}
	return b
}

// Accept returns the next connection that there is room for.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := remote(c)
		reason := b.enter(from)
		if reason == "" {
			return &counted{Conn: c, leave: sync.OnceFunc(func() { b.leave(from) })}, nil
		}
		_ = c.Close()
		b.refuse(from, reason)
	}
}

// remote is the address of the other end. Ends without an IP address count as one.
func remote(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// enter counts a connection, or returns the reason why there is no room for it.
func (b *bounded) enter(from netip.Addr) (reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.by[from] >= b.share:
		return shareTaken
	case b.open >= b.most:
		return allTaken
	}
	b.open++
	b.by[from]++
	return ""
}

func (b *bounded) leave(from netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	if b.by[from]--; b.by[from] == 0 {
		delete(b.by, from)
	}
}

// refuse counts a refused connection, and logs the first and one a minute.
func (b *bounded) refuse(from netip.Addr, reason string) {
	if b.refused != nil {
		b.refused.WithLabelValues(b.name, reason).Inc()
	}
	b.mu.Lock()
	b.silent++
	n, now := b.silent, time.Now()
	quiet := !b.logged.IsZero() && now.Sub(b.logged) < refusalsQuiet
	if !quiet {
		b.logged, b.silent = now, 0
	}
	b.mu.Unlock()
	if !quiet {
		b.logger.Warn("connections are refused: too many are open", "listener", b.name, "limit", reason, "address", from, "refused", n)
	}
}

// counted is a connection that makes room when it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close closes the connection and gives its room back, once.
func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// CloseWrite ends the sending half, as net/http does before it closes a connection with
// unread data: the client then still gets the answer.
func (c *counted) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}
