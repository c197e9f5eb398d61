package httpclient

import (
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// gateway is a TCP proxy that can lose its state: connections that are open then stay
// open and carry nothing any more, and new ones work.
type gateway struct {
	listener net.Listener
	server   string

	mu     sync.Mutex
	lost   chan struct{} // closed: of the connections that are open now
	opened int
	conns  []net.Conn
}

func newGateway(t *testing.T, server string) *gateway {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{listener: l, server: server, lost: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", g.server)
			if err != nil {
				client.Close()
				continue
			}
			g.mu.Lock()
			g.opened++
			g.conns = append(g.conns, client, server)
			lost := g.lost
			g.mu.Unlock()
			wg.Go(func() { carry(server, client, lost) })
			wg.Go(func() { carry(client, server, lost) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		g.mu.Lock()
		for _, c := range g.conns {
			c.Close()
		}
		g.mu.Unlock()
		wg.Wait()
	})
	return g
}

// carry passes bytes on until the gateway has lost its state, and swallows them then.
func carry(to, from net.Conn, lost <-chan struct{}) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		select {
		case <-lost:
			continue
		default:
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// lose is the gateway's restart.
func (g *gateway) lose() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.lost)
	g.lost = make(chan struct{})
}

func (g *gateway) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

// X101: over HTTP/2 one dead connection took every page with it for a quarter of an hour.
func TestADeadConnectionIsLeftForANewOne_INV77(t *testing.T) {
	for _, protocol := range []string{"HTTP/2.0", "HTTP/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			seen := make(chan string, 100)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				seen <- r.Proto
			}))
			s.EnableHTTP2 = protocol == "HTTP/2.0"
			s.StartTLS()
			t.Cleanup(s.Close)
			g := newGateway(t, s.Listener.Addr().String())
			pool := x509.NewCertPool()
			pool.AddCert(s.Certificate())
			transport := newTransport(Options{RootCAs: pool}, 30*time.Millisecond, 30*time.Millisecond)
			t.Cleanup(transport.CloseIdleConnections)
			limit := 30 * time.Second
			if protocol == "HTTP/1.1" {
				limit = 200 * time.Millisecond // nothing but the request's own time ends it
			}
			c := New(transport, limit)
			post := func() error {
				resp, err := c.Post("https://"+g.listener.Addr().String(), "application/json", nil)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				_, err = io.Copy(io.Discard, resp.Body)
				return err
			}
			if err := post(); err != nil {
				t.Fatal(err)
			}
			if got := <-seen; got != protocol {
				t.Fatalf("%s", got)
			}
			for round := range 3 {
				g.lose()
				// The first may meet the dead connection, the second does not.
				if err := post(); err != nil {
					if err := post(); err != nil {
						t.Fatalf("loss %d: %v", round+1, err)
					}
				}
				if n := g.connections(); n != round+2 {
					t.Errorf("%d connections after loss %d", n, round+1)
				}
			}
		})
	}
}

func TestEveryTransportIsTried_X101(t *testing.T) {
	for name, tr := range map[string]*http.Transport{"shared": shared,
		"own": NewTransport(Options{MaxConnsPerHost: 8}), "of a client": New(nil, 0).Transport.(*http.Transport)} {
		if tr.HTTP2 == nil || tr.HTTP2.SendPingTimeout != 15*time.Second || tr.HTTP2.PingTimeout != 5*time.Second ||
			!tr.ForceAttemptHTTP2 {
			t.Errorf("%s: %+v", name, tr.HTTP2)
		}
	}
}
