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
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/httpclient"
	"watchdog.io/watchdog/pkg/secretfile"
)

const (
	maxBody   = 1 << 20
	maxHeader = 64 << 10
	maxFile   = 1 << 20
)

// client asks one URL, each time over a connection of its own unless it is to keep it.
type client struct {
	conf    config.HTTPClient
	method  string
	url     *url.URL
	address string // host and port to connect to
	dialer  httpclient.Dialer

	mu   sync.Mutex
	ca   []byte // the bytes that tls was made with
	tls  *tls.Config
	kept net.Conn // of the last request, if it can carry another one
}

func newClient(conf config.HTTPClient, method string, resolver *net.Resolver) (*client, error) {
	u, err := url.Parse(conf.URL)
	if err != nil {
		return nil, fmt.Errorf("invalid url: %w", errors.Unwrap(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("invalid url %q; use http://host/path or https://host/path", u.Redacted())
	}
	if strings.ContainsFunc(u.Host, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return nil, fmt.Errorf("invalid url %q: write the host in its ASCII form (xn--…)", u.Redacted())
	}
	if method == "" {
		method = http.MethodGet
	}
	return &client{conf: conf, method: method, url: u, address: address(u), dialer: newDialer(resolver)}, nil
}

// address is where a URL leads to.
func address(u *url.URL) string {
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(host, port)
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
	conf, err := c.tlsConfig()
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", c.what(), err)
	}
	start := time.Now()
	got, during, err := c.again(ctx, request)
	if errors.Is(err, errNoConnection) {
		got, during, err = c.anew(ctx, request, conf)
	}
	if err != nil {
		return answer{}, classify(c.what(), during, interrupted(ctx, err))
	}
	got.elapsed = time.Since(start)
	return got, nil
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
	request.Close = !c.conf.ReuseConnections || c.method != http.MethodGet && c.method != http.MethodHead
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

// tlsConfig returns the TLS settings for the CA file as it is now: certificates are
// renewed under a running process.
func (c *client) tlsConfig() (*tls.Config, error) {
	if c.url.Scheme != "https" && c.conf.CAFile == "" {
		return nil, nil // it is not asked for
	}
	var ca []byte
	if c.conf.CAFile != "" {
		var err error
		if ca, err = readSmall(c.conf.CAFile); err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tls != nil && bytes.Equal(ca, c.ca) {
		return c.tls, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.conf.InsecureSkipVerify,
		ServerName: hostOf(c.address)}
	if c.conf.CAFile != "" {
		if conf.RootCAs = authorities.of(c.conf.CAFile, ca); conf.RootCAs == nil {
			return nil, fmt.Errorf("read ca_file %s: no certificate in PEM form", c.conf.CAFile)
		}
	}
	c.tls, c.ca = conf, ca
	return conf, nil
}

func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address) // made by net.JoinHostPort
	return host
}

// authorities are the certificate authorities of each CA file, as many probes name the same.
var authorities = pools{byFile: map[string]pool{}}

type pools struct {
	mu     sync.Mutex
	byFile map[string]pool
}

type pool struct {
	pem  []byte
	pool *x509.CertPool
}

// of returns the pool of a file with this content; nil: it has no certificate.
func (p *pools) of(file string, pem []byte) *x509.CertPool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.byFile[file]; known.pool != nil && bytes.Equal(known.pem, pem) {
		return known.pool
	}
	made := x509.NewCertPool()
	if !made.AppendCertsFromPEM(pem) {
		return nil
	}
	p.byFile[file] = pool{pem, made}
	return made
}

// interrupted prefers the end of the check over what that end did to the connection.
func interrupted(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return err
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
