package web

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
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
	allTaken   = "all"     // maxConnections are open, and none of them has to make room for it
	shareTaken = "address" // maxPerAddress are open from its address, and all are being answered
	madeRoom   = "evicted" // it was let in, and closed to make room for another one
)

// RefusedConnections returns the counter of refused connections, for
// [Options.RefusedConnections].
func RefusedConnections(r prometheus.Registerer) *prometheus.CounterVec {
	return promauto.With(r).NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Subsystem: "http",
		Name: "refused_connections_total",
		Help: "Connections closed because too many were open, by listener (web, metrics) and " +
			"reason: all (512 on this listener), address (128 from one remote address), evicted (closed to make room " +
			"for another one)."}, []string{"listener", "reason"})
}

// bounded is a listener with a limit on open connections, and one on those from one
// remote address. Beyond them one is closed at once: one that waits costs a descriptor,
// and its client learns nothing. Which one makes room decides victim: else a few addresses
// with slow requests would keep out the kubelet, whose probes then end the process.
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
	b := &bounded{Listener: l, name: name, most: maxConnections, share: maxPerAddress, logger: o.Logger,
		refused: o.RefusedConnections, open: map[*counted]bool{}, by: map[netip.Addr]int{}}
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
	full := b.by[in.from] >= b.share
	if full || len(b.open) >= b.most {
		if out = b.victim(in.from, full); out == nil && full {
			return nil, shareTaken
		} else if out == nil {
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

// victim is the connection that makes room for one from an address; nil: none does. full
// says that the address has its share.
//
// One that waits for a request comes first: of the address with the most, if that has more
// than the newcomer's, or else of its own. One that is being answered makes room only for
// an address that has less than half of what its own has: whoever sends whole requests
// and reads no answers must not keep others out either.
func (b *bounded) victim(from netip.Addr, full bool) *counted {
	own := b.by[from]
	var other, self, busy *counted
	for c := range b.open {
		n := b.by[c.from]
		switch {
		case !c.busy && c.from == from:
			self = b.before(c, self)
		case !c.busy && n > own:
			other = b.before(c, other)
		case c.busy && n >= 2*(own+1):
			busy = b.before(c, busy)
		}
	}
	switch {
	case full:
		return self
	case other != nil:
		return other
	case self != nil:
		return self
	}
	return busy
}

// before is that of two whose address has more, or else the one that came to wait, or
// to be answered, earlier.
func (b *bounded) before(c, best *counted) *counted {
	if best == nil || b.by[c.from] > b.by[best.from] || b.by[c.from] == b.by[best.from] && c.seq < best.seq {
		return c
	}
	return best
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
		b.logger.Warn("Refusing connections: too many open connections", "listener", b.name, "limit", reason, "address",
			from, "refused", n)
	}
}

// counted is a connection that makes room when it is closed.
type counted struct {
	net.Conn
	b    *bounded
	from netip.Addr
	// These are guarded by b.mu.
	seq  uint64 // in the order in which they came, or were idle again
	busy bool   // a request that is whole is being answered
}

// begin says that its request is whole. False: it had to make room a moment ago, and
// nothing may be done that its client would not learn of.
func (c *counted) begin() bool {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.busy = c.b.open[c]
	return c.busy
}

// idle says that its answer is written to the end.
func (c *counted) idle() {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.b.seq++
	c.busy, c.seq = false, c.b.seq
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

func countedOf(c net.Conn) (*counted, bool) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn() // of TLS
	}
	in, ok := c.(*counted)
	return in, ok
}

// withConnection is [http.Server.ConnContext].
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if in, ok := countedOf(c); ok {
		return context.WithValue(ctx, countedKey{}, in)
	}
	return ctx
}

// idleAgain is [http.Server.ConnState].
func idleAgain(c net.Conn, s http.ConnState) {
	if in, ok := countedOf(c); ok && s == http.StateIdle {
		in.idle()
	}
}

// whole marks connections whose request is whole, headers and body.
func whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(countedKey{}).(*counted)
		switch {
		case !ok:
		case r.Body != http.NoBody:
			// A copy: what the server does with a body that is not read depends on its own.
			r = r.WithContext(r.Context())
			r.Body = &untilRead{ReadCloser: r.Body, c: c}
		case !c.begin():
			panic(http.ErrAbortHandler)
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
	if err == io.EOF && !u.c.begin() {
		return n, net.ErrClosed
	}
	return n, err
}
