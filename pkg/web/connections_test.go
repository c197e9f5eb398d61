package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"watchdog.io/watchdog/pkg/ingest"
)

// crowd is a listener to which addresses connect.
type crowd struct {
	net.Listener
	from chan string
}

func (c crowd) Accept() (net.Conn, error) {
	for from := range c.from {
		if from != "" { // else somebody waits until this is asked again
			return &caller{from: from}, nil
		}
	}
	return nil, net.ErrClosed
}

// caller is a connection from an address.
type caller struct {
	net.Conn
	from   string
	closed int
}

func (c *caller) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(c.from, "40000"))
	if err != nil {
		panic(err)
	}
	return a
}

func (c *caller) Close() error { c.closed++; return nil }

func TestOpenConnectionsAreBoundedPerAddressAndTogether_S11(t *testing.T) {
	// "+" connects and is let in, "!" connects and is refused, "-" closes the oldest of the
	// address, "#" has the oldest that waits answer a request that is whole, "=" has the oldest
	// that is at that be done with it, and "^a/b" lets a in and closes the oldest of b that
	// waits, or if none does the oldest.
	for _, tt := range []struct{ name, story string }{
		{"a share that is being answered is a share",
			"+10.0.0.1 +10.0.0.1 #10.0.0.1 #10.0.0.1 !10.0.0.1 !10.0.0.1 +10.0.0.2"},
		{"of a share that waits the oldest goes",
			"+10.0.0.1 +10.0.0.1 #10.0.0.1 ^10.0.0.1/10.0.0.1 ^10.0.0.1/10.0.0.1 +10.0.0.2"},
		{"the same of all together", "+10.0.0.1 +10.0.0.2 +10.0.0.3 +10.0.0.4 +10.0.0.5 ^10.0.0.1/10.0.0.1 " +
			"^10.0.0.2/10.0.0.2"},
		{"an address with fewer is let in",
			"+10.0.0.1 +10.0.0.1 +10.0.0.2 +10.0.0.2 +10.0.0.3 ^10.0.0.4/10.0.0.1 ^10.0.0.5/10.0.0.2 ^10.0.0.1/10.0.0.1"},
		{"of those with as many the one that has waited longest goes",
			"+10.0.0.1 +10.0.0.2 +10.0.0.3 +10.0.0.4 +10.0.0.5 ^10.0.0.6/10.0.0.1 ^10.0.0.1/10.0.0.2"},
		{"who was answered a moment ago has not waited long",
			"+10.0.0.1 +10.0.0.2 +10.0.0.3 +10.0.0.4 +10.0.0.5 #10.0.0.1 =10.0.0.1 ^10.0.0.6/10.0.0.2"},
		{"one that waits goes before one that is being answered",
			"+10.0.0.1 +10.0.0.1 +10.0.0.2 +10.0.0.2 +10.0.0.3 #10.0.0.1 ^10.0.0.4/10.0.0.1 #10.0.0.2 " +
				"^10.0.0.5/10.0.0.2"},
		{"whoever reads no answers keeps nobody out",
			"+10.0.0.1 +10.0.0.1 +10.0.0.2 +10.0.0.2 +10.0.0.3 #10.0.0.1 #10.0.0.1 #10.0.0.2 #10.0.0.2 #10.0.0.3 " +
				"^10.0.0.4/10.0.0.1 #10.0.0.4 ^10.0.0.5/10.0.0.2"},
		{"and if all are answered and have as many, nobody else comes in",
			"+10.0.0.1 +10.0.0.2 +10.0.0.3 +10.0.0.4 +10.0.0.5 #10.0.0.1 #10.0.0.2 #10.0.0.3 #10.0.0.4 #10.0.0.5 " +
				"!10.0.0.6"},
		{"a closed connection makes room",
			"+10.0.0.1 +10.0.0.1 #10.0.0.1 #10.0.0.1 !10.0.0.1 -10.0.0.1 +10.0.0.1 ^10.0.0.1/10.0.0.1"},
		{"a refused connection takes no room",
			"+10.0.0.1 +10.0.0.1 #10.0.0.1 #10.0.0.1 !10.0.0.1 !10.0.0.1 !10.0.0.1 +10.0.0.2 +10.0.0.2 +10.0.0.3 " +
				"^10.0.0.5/10.0.0.2"},
		{"one address has one share, however it is written",
			"+10.0.0.1 +::ffff:10.0.0.1 #10.0.0.1 #::ffff:10.0.0.1 !::ffff:10.0.0.1"},
		{"addresses of IPv6 are told apart", "+fd00::1 +fd00::1 #fd00::1 #fd00::1 !fd00::1 +fd00::2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := make(chan string)
			refused := RefusedConnections(prometheus.NewRegistry())
			b := bound(crowd{from: from}, "web", Options{Logger: slog.New(slog.DiscardHandler),
				RefusedConnections: refused})
			b.most, b.share = 5, 2
			// One goroutine accepts; what it does not hand over was refused.
			accepted := make(chan net.Conn)
			go func() {
				defer close(accepted)
				for {
					c, err := b.Accept()
					if err != nil {
						return
					}
					accepted <- c
				}
			}()
			waits := func(c *counted) bool { return !c.busy }
			open, refusals, evictions := map[string][]*counted{}, 0, 0
			arrives := func(address string) {
				from <- address
				open[address] = append(open[address], (<-accepted).(*counted))
			}
			for _, step := range strings.Fields(tt.story) {
				address := step[1:]
				switch step[0] {
				case '+':
					arrives(address)
				case '#':
					if c := open[address][max(0, slices.IndexFunc(open[address], waits))]; !c.begin() {
						t.Errorf("%s: it is closed already", step)
					}
				case '=':
					open[address][slices.IndexFunc(open[address], func(c *counted) bool { return c.busy })].idle()
				case '^':
					address, other, _ := strings.Cut(address, "/")
					arrives(address)
					evictions++
					k := max(0, slices.IndexFunc(open[other], waits))
					if c := open[other][k]; c.Conn.(*caller).closed != 1 || c.begin() {
						t.Errorf("%s: the oldest of %s is closed %d times", step, other, c.Conn.(*caller).closed)
					}
					_ = open[other][k].Close() // as net/http does
					open[other] = slices.Delete(open[other], k, k+1)
				case '!':
					from <- address
					from <- "" // it is refused
					refusals++
				case '-':
					c := open[address][0]
					open[address] = open[address][1:]
					// Both net/http and its TLS layer may close; it is one connection all the same.
					_, _ = c.Close(), c.Close()
				}
			}
			for address, all := range open {
				for _, c := range all {
					if c.Conn.(*caller).closed > 0 {
						t.Errorf("a connection of %s was closed", address)
					}
				}
			}
			close(from)
			for c := range accepted {
				t.Errorf("let in: %s", c.RemoteAddr())
			}
			if got := testutil.ToFloat64(refused.WithLabelValues("web", allTaken)) +
				testutil.ToFloat64(refused.WithLabelValues("web", shareTaken)); got != float64(refusals) {
				t.Errorf("%v were counted, want %d", got, refusals)
			}
			if got := testutil.ToFloat64(refused.WithLabelValues("web", madeRoom)); got != float64(evictions) {
				t.Errorf("%v evictions were counted, want %d", got, evictions)
			}
		})
	}
}

func TestRefusedConnectionsAreLoggedOnceAMinute_S11(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		from := make(chan string)
		b := bound(crowd{from: from}, "web", Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		b.share = 0
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = b.Accept()
		}()
		for range 3 {
			for range 500 {
				from <- "10.0.0.1"
			}
			time.Sleep(refusalsQuiet)
		}
		close(from)
		<-ended
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 3 || !strings.Contains(lines[0], "refused=1") ||
			!strings.Contains(lines[1], "address=10.0.0.1 refused=500") {
			t.Errorf("logged:\n%s", log.String())
		}
	})
}

// One address, or so many that all connections are theirs, open as many slow connections
// as they can, to both listeners. Whoever else has to be answered is, at once:
// Alertmanager, Prometheus, the kubelet.
func TestSlowConnectionsLeaveRoomForOthers_S11(t *testing.T) {
	for _, addresses := range []int{1, 6} {
		t.Run(fmt.Sprintf("of %d addresses", addresses), func(t *testing.T) { slowConnections(t, addresses) })
	}
}

func slowConnections(t *testing.T, addresses int) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	registry, logger := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	o := Options{Logger: logger, Gatherer: registry, Ready: func() error { return nil },
		RefusedConnections: RefusedConnections(registry)}
	o.Alertmanager = Alertmanager(AlertmanagerOptions{
		Logger: logger, Registerer: registry, Accept: func(context.Context, []ingest.Alert) error { return nil },
		Senders: func() []Sender { return []Sender{{Name: "am", TokenFile: token}} },
	})
	start := func(serve func(net.Listener) error) (string, chan error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- serve(l) }()
		return l.Addr().String(), done
	}
	pages, ended := start(func(l net.Listener) error { return serveOn(ctx, o, l, "") })
	health, endedToo := start(func(l net.Listener) error { return serveMetricsOn(ctx, o, l) })
	defer func() {
		cancel()
		<-ended
		<-endedToo
	}()
	for _, address := range []string{pages, health} {
		for k := range maxConnections + 50 {
			stranger := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+k%addresses))}}
			c, err := stranger.DialContext(ctx, "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			// A refused connection may be closed already.
			_, _ = io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: watchdog\r\nX-Slow: ")
		}
	}
	honest := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	client := &http.Client{Transport: &http.Transport{DialContext: honest.DialContext, DisableKeepAlives: true}}
	ask := func(who, method, url, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer secret")
		resp, err := client.Do(req)
		if err != nil {
			t.Errorf("%s is not answered: %v", who, err)
			return
		}
		defer resp.Body.Close()
		if b, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
			t.Errorf("%s is answered %d %s", who, resp.StatusCode, b)
		}
	}
	ask("Prometheus", http.MethodGet, "http://"+pages+"/metrics", "")
	ask("the kubelet", http.MethodGet, "http://"+pages+"/-/ready", "")
	ask("the kubelet at the port for health", http.MethodGet, "http://"+health+"/-/healthy", "")
	ask("Alertmanager", http.MethodPost, "http://"+pages+AlertmanagerPath,
		fmt.Sprintf(`{"version":"4","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"x"},`+
			`"startsAt":%q}]}`, time.Now().Format(time.RFC3339)))
	for _, listener := range []string{"web", "metrics"} {
		if testutil.ToFloat64(o.RefusedConnections.WithLabelValues(listener, madeRoom)) == 0 {
			t.Errorf("%s: the strangers have all %d connections", listener, maxConnections+50)
		}
	}
}

// Whole requests whose answers nobody reads, of so many addresses that all connections are
// theirs: the kubelet is answered all the same.
func TestAnswersThatNobodyReadsLeaveRoomForOthers_S11(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	registry := prometheus.NewRegistry()
	o := Options{Logger: slog.New(slog.DiscardHandler), RefusedConnections: RefusedConnections(registry)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Fewer than in earnest: each of them fills buffers of the kernel's.
	b := bound(l, "metrics", o)
	b.most, b.share = 24, 6
	var writing sync.WaitGroup
	writing.Add(b.most)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/much" {
			writing.Done()
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}
		text(w, http.StatusOK, "watchdog is alive")
	})
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, o, b, answer, "") }()
	var strangers []net.Conn
	for k := range b.most {
		stranger := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+k%4))}}
		c, err := stranger.DialContext(ctx, "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		strangers = append(strangers, c)
		if _, err := io.WriteString(c, "GET /much HTTP/1.1\r\nHost: watchdog\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	writing.Wait()
	honest := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	client := &http.Client{Transport: &http.Transport{DialContext: honest.DialContext, DisableKeepAlives: true}}
	for range 10 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+"/-/healthy", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("the kubelet is not answered: %v", err)
		}
		resp.Body.Close()
	}
	if n := testutil.ToFloat64(o.RefusedConnections.WithLabelValues("metrics", madeRoom)); n == 0 || n > 10 {
		t.Errorf("%v connections made room, want 1 to 10", n)
	}
	for _, c := range strangers {
		_ = c.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A request that is refused before its body came is answered at once: the server knows
// its own body, and asks for none.
func TestARefusalWaitsForNoBody_S11(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Logger: slog.New(slog.DiscardHandler)}
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, o, bound(l, "web", o), refuse, "") }()
	for _, header := range []string{"Expect: 100-continue\r\nContent-Length: 100\r\n", "Content-Length: 300000\r\n"} {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		// Less than the server waits for a body.
		_ = c.SetDeadline(time.Now().Add(readTimeout / 2))
		if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: watchdog\r\n"+header+"\r\n"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 12)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "HTTP/1.1 401" {
			t.Errorf("%q: %q, %v", header, b, err)
		}
		_ = c.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// One connection of HTTP/2 would carry hundreds of slow requests.
func TestAConnectionIsOneRequestAtATimeAlsoWithTLS_S11(t *testing.T) {
	dir, ours := t.TempDir(), authority(t)
	ours.issue(t, dir, "server")
	config := filepath.Join(dir, "web.yaml")
	if err := os.WriteFile(config, []byte("tls_server_config: { cert_file: server.pem, key_file: server-key.pem }\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serveOn(ctx, Options{Logger: slog.New(slog.DiscardHandler)}, l, config) }()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ours.pool}, ForceAttemptHTTP2: true}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+l.Addr().String()+"/-/healthy", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	transport.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if resp.Proto != "HTTP/1.1" || resp.StatusCode != http.StatusOK {
		t.Errorf("answered %d by %s", resp.StatusCode, resp.Proto)
	}
}
