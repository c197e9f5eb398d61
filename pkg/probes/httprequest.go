package probes

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/httpclient"
	"watchdog.io/watchdog/pkg/secretfile"
)

const (
	maxBody   = 1 << 20
	maxHeader = 64 << 10
	maxFile   = 1 << 20
)

// client asks one URL, each time over a connection of its own.
type client struct {
	conf   config.HTTPClient
	method string
	url    *url.URL
	dialer httpclient.Dialer

	mu   sync.Mutex
	ca   []byte // the bytes that http was built with
	http *http.Client
}

func newClient(conf config.HTTPClient, method string, resolver *net.Resolver) (*client, error) {
	u, err := url.Parse(conf.URL)
	if err != nil {
		return nil, fmt.Errorf("invalid url: %w", errors.Unwrap(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("invalid url %q; use http://host/path or https://host/path", u.Redacted())
	}
	if method == "" {
		method = http.MethodGet
	}
	return &client{conf: conf, method: method, url: u, dialer: newDialer(resolver)}, nil
}

// what names the request in messages, without anything that may be secret.
func (c *client) what() string {
	return c.method + " " + withoutSecrets(c.url)
}

func withoutSecrets(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// answer is what came back.
type answer struct {
	status    int
	mediaType string
	location  string
	body      []byte
	tooLarge  bool // body holds only its first MiB
	elapsed   time.Duration
}

// fetch asks once and reads at most 1 MiB. Errors are classified.
func (c *client) fetch(ctx context.Context) (answer, error) {
	request, err := c.request(ctx)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", c.what(), err)
	}
	asker, err := c.client()
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", c.what(), err)
	}
	var at atomic.Int32
	request = request.WithContext(httptrace.WithClientTrace(withLook(ctx), follow(&at)))
	start := time.Now()
	response, err := asker.Do(request)
	if err != nil {
		return answer{}, classify(c.what(), phase(at.Load()), interrupted(ctx, err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return answer{}, classify(c.what(), reading, interrupted(ctx, err))
	}
	return answer{
		status:    response.StatusCode,
		mediaType: response.Header.Get("Content-Type"),
		location:  location(response),
		body:      body[:min(len(body), maxBody)],
		tooLarge:  len(body) > maxBody,
		elapsed:   time.Since(start),
	}, nil
}

func location(response *http.Response) string {
	to, err := response.Location()
	if err != nil {
		return ""
	}
	return withoutSecrets(to)
}

func (c *client) request(ctx context.Context) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, c.method, c.url.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json, */*;q=0.5")
	request.Header.Set("User-Agent", "watchdog")
	for name, value := range c.conf.Headers {
		if strings.EqualFold(name, "Host") {
			request.Host = value
			continue
		}
		request.Header.Set(name, value)
	}
	if c.conf.BearerTokenFile != "" {
		token, err := secretfile.Read(c.conf.BearerTokenFile)
		if err != nil {
			return nil, fmt.Errorf("bearer_token_file: %w", err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return request, nil
}

// client returns the http.Client for the CA file as it is now: certificates
// are renewed under a running process.
func (c *client) client() (*http.Client, error) {
	var ca []byte
	if c.conf.CAFile != "" {
		var err error
		if ca, err = readSmall(c.conf.CAFile); err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil && bytes.Equal(ca, c.ca) {
		return c.http, nil
	}
	built, err := c.build(ca)
	if err != nil {
		return nil, err
	}
	c.http, c.ca = built, ca
	return built, nil
}

func (c *client) build(ca []byte) (*http.Client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.conf.InsecureSkipVerify}
	if c.conf.CAFile != "" {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("read ca_file %s: no certificate in PEM form", c.conf.CAFile)
		}
	}
	return httpclient.New(&http.Transport{
		DialContext:            c.dial,
		TLSClientConfig:        conf,
		DisableKeepAlives:      true,
		DisableCompression:     true, // a small answer must not become a large one
		MaxResponseHeaderBytes: maxHeader,
	}, 0), nil
}

type lookKey struct{}

// withLook lets dial find the check's own context: the one that http.Transport
// hands to dial does not end with the request, and a handshake that hangs
// would outlive its check for good.
func withLook(ctx context.Context) context.Context {
	return context.WithValue(ctx, lookKey{}, ctx)
}

// dial opens a connection that dies with its check.
func (c *client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if look, ok := ctx.Value(lookKey{}).(context.Context); ok {
		ctx = httptrace.WithClientTrace(look, httptrace.ContextClientTrace(ctx))
	}
	connection, err := c.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { connection.Close() })
	return connection, nil
}

// interrupted prefers the end of the check over what that end did to the connection.
func interrupted(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return err
}

// follow keeps the phase of a request in at.
func follow(at *atomic.Int32) *httptrace.ClientTrace {
	enter := func(p phase) { at.Store(int32(p)) }
	return &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { enter(resolving) },
		DNSDone: func(done httptrace.DNSDoneInfo) {
			if done.Err == nil {
				enter(connecting)
			}
		},
		TLSHandshakeStart:    func() { enter(handshaking) },
		GotConn:              func(httptrace.GotConnInfo) { enter(waiting) },
		GotFirstResponseByte: func() { enter(reading) },
	}
}

func readSmall(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s: larger than 1 MiB", path)
	}
	return content, nil
}
