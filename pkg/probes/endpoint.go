package probes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptrace"
	"sync/atomic"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/httpclient"
)

// endpoint is a server that is not asked by the client of HTTP probes: one address, and how
// its connections are protected. Each check connects anew.
type endpoint struct {
	what    string // names the check in messages
	address string
	conf    config.TLSClient
	dialer  httpclient.Dialer
}

func newEndpoint(what, at string, conf config.TLSClient, resolver *net.Resolver) (endpoint, error) {
	if host, port, err := net.SplitHostPort(at); err != nil || host == "" || port == "" {
		return endpoint{}, fmt.Errorf("invalid address %q; use host:port", at)
	}
	return endpoint{what: what + " " + at, address: at, conf: conf, dialer: newDialer(resolver)}, nil
}

// tls returns the TLS settings for the CA file as it is now; nil: plain text.
func (e *endpoint) tls() (*tls.Config, error) {
	if e.conf.TLS == config.PlainText {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: e.conf.ServerName,
		InsecureSkipVerify: e.conf.InsecureSkipVerify}
	if conf.ServerName == "" {
		conf.ServerName = hostOf(e.address)
	}
	if e.conf.CAFile == "" {
		return conf, nil
	}
	ca, err := readSmall(e.conf.CAFile)
	if err != nil {
		return nil, fmt.Errorf("%s: read ca_file: %w", e.what, err)
	}
	if conf.RootCAs = authorities.of(e.conf.CAFile, ca); conf.RootCAs == nil {
		return nil, fmt.Errorf("%s: read ca_file %s: no certificate in PEM form", e.what, e.conf.CAFile)
	}
	return conf, nil
}

// progress is the phase of one check; a library may connect in a goroutine of its own.
type progress struct{ phase atomic.Int32 }

func (p *progress) set(to phase) { p.phase.Store(int32(to)) }
func (p *progress) now() phase   { return phase(p.phase.Load()) }

// dial connects without TLS; the connection ends with ctx. An error is not classified.
func (e *endpoint) dial(ctx context.Context, during *progress) (net.Conn, error) {
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { during.set(resolving) },
		DNSDone: func(done httptrace.DNSDoneInfo) {
			if done.Err == nil {
				during.set(connecting)
			}
		},
	})
	connection, err := e.dialer.DialContext(traced, "tcp", e.address)
	if err != nil {
		return nil, err
	}
	during.set(waiting)
	context.AfterFunc(ctx, func() { connection.Close() })
	return &limited{connection, maxSent}, nil
}

// maxSent is how much a server may send in one check.
const maxSent = 2 << 20

// limited is a connection that gives up on a server that does not stop sending.
type limited struct {
	net.Conn
	left int
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left == 0 {
		return 0, fmt.Errorf("the server sent more than %d MiB", maxSent>>20)
	}
	n, err := l.Conn.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}

// open connects, with TLS unless conf is nil. An error is not classified.
func (e *endpoint) open(ctx context.Context, conf *tls.Config, during *progress) (net.Conn, error) {
	connection, err := e.dial(ctx, during)
	if err != nil || conf == nil {
		return connection, err
	}
	during.set(handshaking)
	secure := tls.Client(connection, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		connection.Close()
		return nil, err
	}
	during.set(waiting)
	return secure, nil
}

// failed says what an error means, as classify does for HTTP.
func (e *endpoint) failed(ctx context.Context, during *progress, err error) error {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Errorf("%s: the server does not speak TLS: set tls: none", e.what)
	}
	return classify(e.what, during.now(), interrupted(ctx, err))
}
