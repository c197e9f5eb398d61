// Package httpclient makes the HTTP clients with which watchdog talks to whatever is
// not Kubernetes: receivers, the dead man's switch, Prometheus, vendors' APIs. Its
// [Dialer] also makes the connections of probes, of mail and of vendors' libraries.
//
// It owns where watchdog may connect to, how a connection is kept and how one that is
// dead is noticed. It leaves to others what is asked, how often, and what an answer means.
//
// [Dialer] refuses addresses where no service that is configured can be: link-local and
// metadata addresses of clouds, unspecified and multicast ones (SEC-15). A proxy from the
// environment (HTTPS_PROXY) is checked itself, and what it connects to is its own affair.
//
// Its one rule: no connection is kept that is not tried. A load balancer or a NAT
// gateway that loses its state drops packets without a word; an HTTP/1.1 client opens a
// new connection after the first timeout, and an HTTP/2 client goes on with the dead one
// until the kernel gives it up after some 15 minutes, page after page. So every HTTP/2
// connection is pinged, and closed when the answer does not come (INV-77).
package httpclient

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"
)

// How long an HTTP/2 connection may be without a frame until it is pinged, and how long
// the answer may take.
const (
	PingAfter   = 15 * time.Second
	PingTimeout = 5 * time.Second
)

// Options are what some clients need and others do not.
type Options struct {
	// RootCAs replace the system's certificate authorities; Certificates are the
	// client's own.
	RootCAs      *x509.CertPool
	Certificates []tls.Certificate
	// MaxConnsPerHost and MaxIdleConnsPerHost bound the connections to one host; 0: as
	// net/http does.
	MaxConnsPerHost     int
	MaxIdleConnsPerHost int
}

// NewTransport returns a transport whose connections are tried.
func NewTransport(o Options) *http.Transport { return newTransport(o, PingAfter, PingTimeout) }

func newTransport(o Options, after, answer time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            Dialer{Timeout: 10 * time.Second, KeepAlive: PingAfter}.DialContext,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    o.MaxIdleConnsPerHost,
		MaxConnsPerHost:        o.MaxConnsPerHost,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		TLSClientConfig: &tls.Config{RootCAs: o.RootCAs, Certificates: o.Certificates,
			MinVersion: tls.VersionTLS12},
		HTTP2: &http.HTTP2Config{SendPingTimeout: after, PingTimeout: answer,
			WriteByteTimeout: PingAfter},
	}
}

// shared is the transport of all clients that need no authorities of their own: they
// share its connections.
var shared = NewTransport(Options{})

// New returns a client on a transport, or with nil on the shared one. It follows no
// redirects: a token must not travel to another host. timeout bounds one request; 0: its
// context does.
func New(transport http.RoundTripper, timeout time.Duration) *http.Client {
	if transport == nil {
		transport = shared
	}
	return &http.Client{Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
