package probes

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
)

// counted starts a server that counts its connections.
func counted(t *testing.T, secure bool, handler http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	var n atomic.Int32
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			n.Add(1)
		}
	}
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server, &n
}

func TestEachLookConnectsAnewUnlessConnectionsAreReused(t *testing.T) {
	closing := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		respond(200, "{}")(w, r)
	}
	reused := config.HTTPClient{ReuseConnections: true, InsecureSkipVerify: true}
	for name, tc := range map[string]struct {
		conf    config.HTTPProbe
		secure  bool
		handler http.HandlerFunc
		want    int32 // connections of three looks
	}{
		"as a new user":           {config.HTTPProbe{}, false, respond(200, "{}"), 3},
		"reused":                  {config.HTTPProbe{HTTPClient: reused}, false, respond(200, "{}"), 1},
		"reused, TLS":             {config.HTTPProbe{HTTPClient: reused}, true, respond(200, "{}"), 1},
		"reused, no body":         {config.HTTPProbe{HTTPClient: reused}, false, respond(204, ""), 1},
		"the server closes":       {config.HTTPProbe{HTTPClient: reused}, false, closing, 3},
		"the body is too large":   {config.HTTPProbe{HTTPClient: reused}, false, respond(200, strings.Repeat("x", 2*maxBody)), 3},
		"a HEAD request":          {config.HTTPProbe{Method: "HEAD", HTTPClient: reused}, false, respond(200, "{}"), 1},
		"a request that may harm": {config.HTTPProbe{Method: "POST", HTTPClient: reused}, false, respond(200, "{}"), 3},
	} {
		t.Run(name, func(t *testing.T) {
			server, connections := counted(t, tc.secure, tc.handler)
			tc.conf.URL = server.URL
			probe, err := NewHTTP(tc.conf, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if state, detail := lookOnce(t, probe, time.Now(), time.Minute); state != OK {
					t.Fatalf("%s %s", state, detail)
				}
			}
			if got := connections.Load(); got != tc.want {
				t.Errorf("%d connections, want %d", got, tc.want)
			}
		})
	}
}

// What a server does to a connection that is kept says nothing of the service: the next
// look connects anew.
func TestAKeptConnectionThatIsGoneIsNoFailure(t *testing.T) {
	const (
		ok      = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		timeout = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
	)
	for name, tc := range map[string]struct {
		says string // after the response, and unasked
		then func(net.Conn)
	}{
		"closed":                     {"", func(c net.Conn) { c.Close() }},
		"closed with a last word":    {timeout, func(c net.Conn) { c.Close() }},
		"a last word, and kept open": {timeout, until},
		"closed upon the request":    {"", func(c net.Conn) { c.Read(make([]byte, 1)) }},
	} {
		t.Run(name, func(t *testing.T) {
			kept, said := make(chan struct{}), make(chan struct{})
			address := listen(t, func(c net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					fmt.Fprint(c, ok)
					<-kept
					fmt.Fprint(c, tc.says)
					said <- struct{}{}
					tc.then(c)
				}
			})
			client, err := newClient(config.HTTPClient{URL: "http://" + address, ReuseConnections: true}, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got, err := client.fetch(t.Context()); err != nil || got.status != 200 || client.kept == nil {
					t.Errorf("status %d, %v, a connection is kept: %t", got.status, err, client.kept != nil)
				}
				kept <- struct{}{}
				<-said
			}
			client.kept.Close()
		})
	}
}

func TestResponsesOfSeveralHeads(t *testing.T) {
	const hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
	for head, want := range map[string]struct {
		state State
		says  string
	}{
		"":                       {OK, "status 200"},
		hint:                     {OK, "status 200"},
		strings.Repeat(hint, 20): {Unknown, "more than 5 informational responses"},
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeader) + "\r\n\r\n": {Unknown, "headers exceed 64 KiB"},
	} {
		address := listen(t, func(c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				fmt.Fprint(c, head+"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
			until(c)
		})
		probe, err := NewHTTP(config.HTTPProbe{HTTPClient: config.HTTPClient{URL: "http://" + address}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if state, detail := lookOnce(t, probe, time.Now(), time.Minute); state != want.state ||
			!strings.Contains(detail, want.says) {
			t.Errorf("%.40q…: %s %s, want %s %s", head, state, detail, want.state, want.says)
		}
	}
}

func TestWhereAURLLeadsTo(t *testing.T) {
	for url, want := range map[string]string{
		"http://a/x": "a:80", "https://a": "a:443", "http://a:81": "a:81", "http://[::1]": "[::1]:80",
	} {
		c, err := newClient(config.HTTPClient{URL: url}, "", nil)
		if err != nil || c.address != want {
			t.Errorf("%s: %s %v, want %s", url, c.address, err, want)
		}
	}
	if _, err := newClient(config.HTTPClient{URL: "http://bücher.example"}, "", nil); err == nil {
		t.Error("a host that is not ASCII is taken")
	}
}

// Thousands of probes that trust the same file share its authorities, also when it is
// renewed.
func TestAuthoritiesAreSharedByFile(t *testing.T) {
	server := httptest.NewTLSServer(respond(200, "{}"))
	defer server.Close()
	pem := certificatePEM(server)
	one, two, renewed := authorities.of("ca.crt", pem), authorities.of("ca.crt", slices.Clone(pem)),
		authorities.of("ca.crt", append(slices.Clone(pem), '\n'))
	if one == nil || one != two || one == renewed {
		t.Errorf("%p %p renewed %p", one, two, renewed)
	}
	if authorities.of("none.crt", []byte("nothing")) != nil {
		t.Error("a file without a certificate has authorities")
	}
}
