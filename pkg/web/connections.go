package web

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
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
	allTaken   = "all"     // maxConnections are open, and its address has as many as any
	shareTaken = "address" // maxPerAddress are open from its address
	madeRoom   = "evicted" // it was let in, and closed before its request was whole, for one of another address
)

// RefusedConnections returns the counter of refused connections, for
// [Options.RefusedConnections].
func RefusedConnections(r prometheus.Registerer) *prometheus.CounterVec {
	return promauto.With(r).NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Subsystem: "http", Name: "refused_connections_total", Help: "Connections that were closed unanswered because too many were open, by listener (web, metrics) and reason: all (512 on this listener), address (128 from one remote address), evicted (its address had the most of 512, and another one had none or fewer)."}, []string{"listener", "reason"})
}

// bounded is a listener with a limit on open connections, and one on those from one
// remote address. Connections beyond are closed at once: one that waits costs a
// descriptor, and its client learns nothing. When all are taken, room is made for an
// address that has fewer than another: else a few addresses with slow requests would
// keep out the kubelet, whose probes then end the process.
type bounded struct {
	net.Listener
	name    string // label of the metric
	most    int
	share   int
	logger  *slog.Logger
	refused *prometheus.CounterVec // nil: nobody counts

	mu     sync.Mutex
	open   map[*counted]bool
	by     map[netip.Addr]int
	seq    uint64
	logged time.Time // when the last line was logged
	silent int       // refusals since then
}

func bound(l net.Listener, name string, o Options) *bounded {
	b := &bounded{Listener: l, name: name, most: maxConnections, share: maxPerAddress, logger: o.Logger, refused: o.RefusedConnections, open: map[*counted]bool{}, by: map[netip.Addr]int{}}
	if b.refused != nil {
		for _, reason := range []string{allTaken, shareTaken, madeRoom} {
			b.refused.WithLabelValues(name, reason)
		}
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
		in := &counted{Conn: c, b: b, from: remote(c)}
		out, reason := b.enter(in)
		if out != nil {
			_ = out.Close()
			b.refuse(out.from, madeRoom)
		}
		if reason == "" {
			return in, nil
		}
		_ = c.Close()
		b.refuse(in.from, reason)
	}
}

// remote is the address of the other end. Ends without an IP address count as one.
func remote(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// enter counts a connection, or returns the reason why there is no room for it. If another
// one has to make room for it, that is closed by the caller.
func (b *bounded) enter(in *counted) (out *counted, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.by[in.from] >= b.share {
		return nil, shareTaken
	}
	if len(b.open) >= b.most {
		if out = b.longest(b.by[in.from]); out == nil {
			return nil, allTaken
		}
		b.forget(out)
	}
	b.seq++
	in.seq = b.seq
	b.open[in] = true
	b.by[in.from]++
	return out, ""
}

// longest is the connection that has waited longest for its request to be whole, of the
// address that has the most and more than the given number; nil: there is none.
func (b *bounded) longest(more int) (out *counted) {
	for c := range b.open {
		n := b.by[c.from]
		if n <= more || c.busy.Load() {
			continue
		}
		if out == nil || n > b.by[out.from] || n == b.by[out.from] && c.seq < out.seq {
			out = c
		}
	}
	return out
}

// forget gives a connection's room back, once.
func (b *bounded) forget(c *counted) {
	if !b.open[c] {
		return
	}
	delete(b.open, c)
	if b.by[c.from]--; b.by[c.from] == 0 {
		delete(b.by, c.from)
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
	b    *bounded
	from netip.Addr
	seq  uint64      // in the order in which they came
	busy atomic.Bool // a request that is whole is being answered
}

// Close closes the connection and gives its room back.
func (c *counted) Close() error {
	defer func() {
		c.b.mu.Lock()
		defer c.b.mu.Unlock()
		c.b.forget(c)
	}()
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

// countedKey is where a request's context has its connection.
type countedKey struct{}

// withConnection is [http.Server.ConnContext].
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn() // of TLS
	}
	return context.WithValue(ctx, countedKey{}, c)
}

// whole marks connections whose request is whole, headers and body: they are not closed
// to make room.
func whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(countedKey{}).(*counted)
		if ok {
			defer c.busy.Store(false)
			if r.Body == http.NoBody {
				c.busy.Store(true)
			} else {
				r.Body = &untilRead{ReadCloser: r.Body, c: c}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// untilRead is the body of a request that is whole once it has been read.
type untilRead struct {
	io.ReadCloser
	c *counted
}

func (u *untilRead) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err == io.EOF {
		u.c.busy.Store(true)
	}
	return n, err
}
