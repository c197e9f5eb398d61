package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxReadAnswer bounds what is passed on of the leader's answer.
const maxReadAnswer = 64 << 20

// led serves a read where the leader's memory is needed: here, if this replica leads,
// else by asking the one that does. The Service spreads requests over all replicas, and
// whoever reads must not depend on which of them answers.
func (f *Forward) led(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if f.leads() || r.Header.Get(forwardedHeader) != "" {
			next(w, r)
			return
		}
		base, _ := f.Leader()
		if base == "" {
			next(w, r) // it says that it follows nobody
			return
		}
		if err := f.guard(r, base); err != nil {
			elsewhere(w, base, err)
			return
		}
		resp, err := f.read(r, base)
		if err != nil {
			fail(w, http.StatusServiceUnavailable, "this replica does not lead, and "+err.Error())
			return
		}
		defer resp.Body.Close()
		for _, name := range []string{"Content-Type", "Www-Authenticate", "Retry-After"} {
			if v := resp.Header.Get(name); v != "" {
				w.Header().Set(name, v)
			}
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, io.LimitReader(resp.Body, maxReadAnswer))
	}
}

// read asks the leader what r asks, with the credentials it came with.
func (f *Forward) read(r *http.Request, base string) (*http.Response, error) {
	to, err := url.JoinPath(base, r.URL.EscapedPath())
	if err != nil {
		return nil, fmt.Errorf("address of the leader: %w", err)
	}
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	ctx, cancel := context.WithTimeout(r.Context(), forwardTimeout)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header.Set(forwardedHeader, "1")
	for _, name := range []string{"Authorization", "Accept"} {
		if v := r.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	client := *f.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("the leader does not answer: %w", err)
	}
	if resp.StatusCode/100 == 3 {
		cancel()
		return nil, errors.Join(fmt.Errorf("the leader answers %d", resp.StatusCode), resp.Body.Close())
	}
	resp.Body = cancelling{resp.Body, cancel}
	return resp, nil
}

// cancelling frees the request's context with the body.
type cancelling struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c cancelling) Close() error {
	c.cancel()
	return c.ReadCloser.Close()
}
