package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// forwardedHeader marks a webhook that another replica has passed on. It is not
	// passed on again, so that two replicas which take each other for the leader do
	// not send it to and fro.
	forwardedHeader = "Watchdog-Forwarded"
	forwardTimeout  = 10 * time.Second
	maxAnswer       = 64 << 10
)

// Forward hands webhooks from a follower to the replica that leads.
type Forward struct {
	// Leader returns the base URL of the replica that leads, such as
	// https://10.0.0.7:9095, and whether that is this one. An empty URL: nobody knows.
	Leader func() (base string, self bool)
	// Client reaches the other replicas, and follows no redirects: one would take a sender's
	// token along. A certificate that they ask for is its own:
	// one that the sender showed cannot be passed on, its Authorization header is.
	Client *http.Client
	// Readable is called when the credentials of a sender are forwarded to a leader in plain
	// HTTP; nil: it is not reported.
	Readable func(leader string)
}

// leads reports whether alerts are accepted here.
func (f *Forward) leads() bool {
	if f == nil {
		return true
	}
	_, self := f.Leader()
	return self
}

// answer is the leader's response to a webhook.
type answer struct {
	status     int
	retryAfter string
	body       []byte
}

// readable reports whether others on the network can read what is sent to a replica.
func readable(base string) bool {
	u, err := url.Parse(base)
	return err != nil || u.Scheme != "https"
}

// send passes the body on, with the sender's credentials. An error means that
// it is unknown whether the leader has it; a repeated request does no harm.
func (f *Forward) send(r *http.Request, authorization string, body []byte) (answer, error) {
	if r.Header.Get(forwardedHeader) != "" {
		return answer{}, errors.New("the replica that forwarded this request considers this one the leader, but it " +
			"is not")
	}
	base, _ := f.Leader()
	if base == "" {
		return answer{}, errors.New("no known leader")
	}
	to, err := url.JoinPath(base, AlertmanagerPath)
	if err != nil {
		return answer{}, fmt.Errorf("address of the leader: %w", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), forwardTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(forwardedHeader, "1")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
		if f.Readable != nil && readable(base) {
			f.Readable(base)
		}
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("the leader did not respond: %w", err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("read the leader's response: %w", err)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusServiceUnavailable:
	case http.StatusUnauthorized:
		// The sender is known here: by a certificate, which cannot be passed on, or by a
		// token that the leader has not read yet. A 401 would end the sender's tries.
		return answer{}, errors.New("the leader rejected the forwarded credentials")
	default:
		// Nothing that this handler says: a leader of another version, or something in between.
		return answer{}, fmt.Errorf("the leader responded with status %d", resp.StatusCode)
	}
	return answer{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After"), body: said}, nil
}
