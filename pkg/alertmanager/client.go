package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/config"

	"watchdog.io/watchdog/pkg/httpclient"
)

// Bounds of one request.
const (
	maxAnswer      = 8 << 20
	defaultTimeout = 5 * time.Second
)

// Options say which Alertmanager is meant and how it is asked.
type Options struct {
	// URLs are the peers of one cluster, each with its path prefix. They share their
	// silences, so one of them is enough.
	URLs []string
	// Timeout of one request to one peer. Default 5s.
	Timeout time.Duration
	// BearerTokenFile and PasswordFile are read anew for every request, so that they may be rotated.
	BearerTokenFile string
	Username        string
	PasswordFile    string
	// CAFile replaces the system's certificate authorities; CertFile and KeyFile are the client's own.
	CAFile   string
	CertFile string
	KeyFile  string
	// Author is the name under which this installation makes silences.
	Author string
	Now    func() time.Time
}

// Client asks one Alertmanager, which may be several peers.
type Client struct {
	peers   []string
	http    *http.Client
	timeout time.Duration
	author  string
	now     func() time.Time
	moment  time.Duration // between a write whose answer was lost and the next look
}

// New returns a client. Redirects are not followed: a token must not travel to
// another host.
func New(o Options) (*Client, error) {
	c := &Client{timeout: o.Timeout, author: o.Author, now: o.Now, moment: lateAnswer}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
	if len(o.URLs) == 0 {
		return nil, errors.New("alertmanager: no URL")
	}
	for _, text := range o.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("alertmanager url %q: must be http://host or https://host", text)
		}
		c.peers = append(c.peers, strings.TrimSuffix(text, "/"))
	}
	h := config.HTTPClientConfig{TLSConfig: config.TLSConfig{CAFile: o.CAFile, CertFile: o.CertFile,
		KeyFile: o.KeyFile}}
	h.ProxyFromEnvironment = true
	if o.BearerTokenFile != "" {
		h.Authorization = &config.Authorization{Type: "Bearer", CredentialsFile: o.BearerTokenFile}
	}
	if o.Username != "" {
		h.BasicAuth = &config.BasicAuth{Username: o.Username, PasswordFile: o.PasswordFile}
	}
	if err := h.Validate(); err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	var err error
	if c.http, err = config.NewClientFromConfig(h, "alertmanager",
		config.WithDialContextFunc(httpclient.Dialer{}.DialContext)); err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	return c, nil
}

// failure is a request without the answer that was wanted.
type failure struct {
	peer   string
	status int  // 0: no answer
	unsent bool // it certainly never reached the peer
	err    error
}

func (f *failure) Error() string { return "alertmanager " + f.peer + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// final reports whether the peer understood the request and refused it: nothing
// was done, and asking again changes nothing.
func (f *failure) final() bool {
	return f.status/100 == 4 && f.status != http.StatusRequestTimeout && f.status != http.StatusTooManyRequests
}

// do sends one request to one peer and returns the body of a 2xx answer.
func (c *Client) do(ctx context.Context, peer, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, peer+path, bytes.NewReader(body))
	if err != nil {
		return nil, &failure{peer: peer, unsent: true, err: err}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		return nil, &failure{peer: peer, unsent: errors.As(err, &op) && op.Op == "dial", err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case resp.StatusCode/100 != 2:
		return nil, &failure{peer: peer, status: resp.StatusCode,
			err: fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, plain(string(text[:min(len(text), 1000)])))}
	case err != nil:
		return nil, &failure{peer: peer, err: fmt.Errorf("%s %s: answer: %w", method, path, err)}
	case len(text) > maxAnswer:
		return nil, &failure{peer: peer, err: fmt.Errorf("%s %s: answer larger than %d MiB", method, path,
			maxAnswer>>20)}
	}
	return text, nil
}

// Status is what an Alertmanager says of itself.
type Status struct {
	Peer    string // who answered
	Version string
	Cluster string // ready, settling or disabled
	Peers   int
}

// Status asks the first peer that answers.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var all []error
	for _, peer := range c.peers {
		text, err := c.do(ctx, peer, http.MethodGet, "/api/v2/status", nil)
		if err == nil {
			var w struct {
				Cluster struct {
					Status string            `json:"status"`
					Peers  []json.RawMessage `json:"peers"`
				} `json:"cluster"`
				VersionInfo struct {
					Version string `json:"version"`
				} `json:"versionInfo"`
			}
			if err = json.Unmarshal(text, &w); err == nil {
				return Status{Peer: peer, Version: plain(w.VersionInfo.Version), Cluster: plain(w.Cluster.Status),
					Peers: len(w.Cluster.Peers)}, nil
			}
			err = &failure{peer: peer, err: fmt.Errorf("invalid status response: %w", err)}
		}
		all = append(all, err)
	}
	return Status{}, errors.Join(all...)
}

// Silences asks the first peer that answers for the silences that are in force or
// will be. odd says what was not understood of them.
func (c *Client) Silences(ctx context.Context) (silences []Silence, odd error, err error) {
	var all []error
	for _, peer := range c.peers {
		silences, odd, err := c.silencesOf(ctx, peer, "?active=true&pending=true&expired=false")
		if err == nil {
			return silences, odd, nil
		}
		all = append(all, err)
	}
	return nil, nil, errors.Join(all...)
}

// silencesOf asks one peer. Before 0.34 all silences are given, whatever is asked for.
func (c *Client) silencesOf(ctx context.Context, peer, which string) (silences []Silence, odd error, err error) {
	text, err := c.do(ctx, peer, http.MethodGet, "/api/v2/silences"+which, nil)
	if err != nil {
		return nil, nil, err
	}
	if silences, odd, err = decode(text); err != nil {
		return nil, nil, &failure{peer: peer, err: err}
	}
	return silences, odd, nil
}
