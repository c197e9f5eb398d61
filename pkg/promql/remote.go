package promql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/httpclient"
	"watchdog.io/watchdog/pkg/secretfile"
	"watchdog.io/watchdog/pkg/storage"
)

// Bounds of a remote source.
const (
	maxResponse = 8 << 20
	maxToken    = 64 << 10
	// maxClockSkew is how far the moment of an answer may be from the moment asked for.
	maxClockSkew = 30 * time.Second
)

// RemoteOptions say how a Prometheus-compatible server is asked.
type RemoteOptions struct {
	URL string
	// Timeout of one query. Default 10s.
	Timeout time.Duration
	// BearerTokenFile is read anew for every request, so that it may be rotated.
	BearerTokenFile string
	// CAFile replaces the system's certificate authorities.
	CAFile string
	// HTTP says further how watchdog identifies itself: BasicAuth, Authorization and
	// HTTPHeaders with values or files, and TLSConfig. The rest of it is not used.
	HTTP config.HTTPClientConfig
	// Transport replaces the one that is made from the options: for a server that is simulated.
	Transport http.RoundTripper
}

// NewRemote returns a QueryFunc of a Prometheus-compatible HTTP API. Of one
// expression at most one query is in flight; others wait for their turn. An
// answer larger than 8 MiB, with warnings, or not a vector is an error.
// Redirects are not followed.
func NewRemote(opts RemoteOptions) (QueryFunc, error) {
	r, err := dial(opts)
	if err != nil {
		return nil, err
	}
	return r.query, nil
}

func dial(opts RemoteOptions) (*remote, error) {
	if opts.Timeout <= 0 {
		opts.Timeout = 10 * time.Second
	}
	u, err := url.Parse(opts.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("prometheus url %q: must be http://host or https://host", opts.URL)
	}
	transport := opts.Transport
	if transport == nil {
		if transport, err = newTransport(opts); err != nil {
			return nil, err
		}
	}
	return newRemote(opts, transport)
}

func newRemote(opts RemoteOptions, transport http.RoundTripper) (*remote, error) {
	transport, err := authenticated(opts.HTTP, transport)
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(api.Config{Address: opts.URL,
		Client: httpclient.New(&bounded{next: transport, tokenFile: opts.BearerTokenFile}, 0)})
	if err != nil {
		return nil, fmt.Errorf("make prometheus client: %w", err)
	}
	return &remote{api: promv1.NewAPI(complete{client}), timeout: opts.Timeout, turns: map[string]*turn{}}, nil
}

func newTransport(opts RemoteOptions) (http.RoundTripper, error) {
	t := httpclient.NewTransport(httpclient.Options{MaxConnsPerHost: 8, MaxIdleConnsPerHost: 4})
	settings := opts.HTTP.TLSConfig
	settings.CAFile = cmp.Or(opts.CAFile, settings.CAFile)
	return secured(settings, t)
}

// bounded adds the token to each request and cuts off too large answers.
type bounded struct {
	next      http.RoundTripper
	tokenFile string
}

func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.tokenFile != "" {
		token, err := secretfile.Read(b.tokenFile)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := b.next.RoundTrip(req)
	if err == nil {
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxResponse}
	}
	return resp, err
}

// boundedBody fails instead of ending early, as half an answer must not pass
// for a whole one.
type boundedBody struct {
	io.ReadCloser
	left int
}

var errTooLarge = errors.New("answer larger than 8 MiB")

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if b.left -= n; b.left < 0 {
		return n, errTooLarge
	}
	return n, err
}

// remote is one server and the queries under way.
type remote struct {
	api     promv1.API
	timeout time.Duration

	mu    sync.Mutex
	turns map[string]*turn
}

// turn is the right to ask one expression; users counts who holds or awaits it.
type turn struct {
	held  chan struct{}
	users int
}

func (r *remote) query(ctx context.Context, expr string, at time.Time) ([]Point, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	release, err := r.take(ctx, expr)
	if err != nil {
		return nil, fmt.Errorf("ask prometheus for %s: %w: the previous query is still under way: %w", Brief(expr),
			ErrSource, err)
	}
	defer release()
	value, warnings, _, err := r.api.Query(ctx, expr, at, promv1.WithTimeout(r.timeout))
	if err != nil {
		return nil, remoteError(expr, err)
	}
	vector, ok := value.(model.Vector)
	switch {
	case len(warnings) > 0 && (!ok || slices.ContainsFunc(warnings,
		func(w string) bool { return !strings.HasPrefix(w, "PromQL ") })):
		return nil, fmt.Errorf("ask prometheus for %s: %w: %.200s", Brief(expr), ErrPartial,
			strings.Join(warnings, "; "))
	case !ok:
		return nil, WrongType(expr, typeName(value))
	}
	points, err := remotePoints(expr, vector, at)
	if err == nil && len(warnings) > 0 {
		err = fmt.Errorf("ask prometheus for %s: %w: %w: %.200s", Brief(expr), ErrPartial, errAnnotated,
			strings.Join(warnings, "; "))
	}
	return points, err
}

func typeName(v model.Value) string {
	if v == nil {
		return "none"
	}
	return v.Type().String()
}

// take waits for the turn to ask expr.
func (r *remote) take(ctx context.Context, expr string) (release func(), err error) {
	r.mu.Lock()
	t := r.turns[expr]
	if t == nil {
		t = &turn{held: make(chan struct{}, 1)}
		r.turns[expr] = t
	}
	t.users++
	r.mu.Unlock()
	leave := func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(r.turns, expr)
		}
	}
	select {
	case t.held <- struct{}{}:
		return func() { <-t.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// remoteError tells a server in trouble from an expression it does not like.
func remoteError(expr string, err error) error {
	if errors.Is(err, ErrPartial) {
		return fmt.Errorf("ask prometheus for %s: %w", Brief(expr), err)
	}
	var e *promv1.Error
	if errors.As(err, &e) && (e.Type == promv1.ErrBadData || e.Type == promv1.ErrExec) {
		return fmt.Errorf("ask prometheus for %s: %s: %.200s", Brief(expr), e.Type, e.Msg)
	}
	return fmt.Errorf("ask prometheus for %s: %w: %w", Brief(expr), ErrSource, err)
}

// remotePoints converts a vector. Every value must be of the moment asked for.
func remotePoints(expr string, vector model.Vector, at time.Time) ([]Point, error) {
	points := make([]Point, 0, len(vector))
	for _, s := range vector {
		if s == nil {
			return nil, fmt.Errorf("ask prometheus for %s: %w: the answer has an empty sample", Brief(expr), ErrSource)
		}
		if s.Histogram == nil && s.Timestamp.Time().Sub(at).Abs() > maxClockSkew {
			return nil, fmt.Errorf("ask prometheus for %s: %w: asked for %s, answered for %s", Brief(expr), ErrSource,
				at.UTC().Format(time.RFC3339), s.Timestamp.Time().UTC().Format(time.RFC3339))
		}
		points = append(points, Point{Labels: storage.LabelsOf(s.Metric), Value: float64(s.Value),
			Histogram: s.Histogram != nil})
	}
	return points, nil
}
