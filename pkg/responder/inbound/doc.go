// Package inbound is how requests of responders reach watchdog other than by command line:
// the buttons of its Slack messages, PagerDuty's webhooks, and its own HTTP API.
//
// It owns the authentication of requests (a signature over the raw body, a token), their
// freshness, and who the person is by the configuration's list of users. It leaves to
// responder.Service what they are allowed to do and what becomes of the request.
//
// Its one rule: a request that is not authenticated changes nothing, and gets no other answer
// than that.
package inbound

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"watchdog.io/watchdog/pkg/responder"
	"watchdog.io/watchdog/pkg/secretfile"
)

// Service is where requests are applied: *responder.Service.
type Service interface {
	Do(ctx context.Context, p responder.Person, w responder.Request) (string, error)
	Refuse(w responder.Request, why string) error
	Why(ctx context.Context, id string) (string, error)
}

// Sources of requests.
const (
	SourceSlack     = "slack"
	SourcePagerDuty = "pagerduty"
	SourceAPI       = "api"
)

// Limits of a request, in bytes; the vendors' are a few KiB.
const (
	maxVendorBody = 256 << 10
	maxBody       = 16 << 10
	bodyTime      = 5 * time.Second
	actionTime    = 20 * time.Second
)

var errTooLarge = errors.New("the body is too large")

// readBody returns the raw body, which is what was signed. One that is announced as
// too large is not read.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	conn := http.NewResponseController(w)
	// A writer without a connection (a test's recorder) has no deadline to set.
	_ = conn.SetReadDeadline(time.Now().Add(bodyTime))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, errTooLarge
	case err != nil:
		return nil, err
	}
	// Else the server would take the connection for dead when the deadline has passed,
	// and cancel the request in the middle of its work.
	_ = conn.SetReadDeadline(time.Time{})
	return b, nil
}

// failUnread refuses a request whose body was not read, and closes the connection:
// else the server would wait for the body before and after it sends the answer.
func failUnread(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Connection", "close")
	// A writer without a connection (a test's recorder) has no deadline to set.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	fail(w, status, reason)
}

// Secrets returns a function that reads secrets from their files, at each use.
func Secrets(files ...string) func() ([]string, error) {
	return func() ([]string, error) {
		var all []string
		for _, f := range files {
			s, err := secretfile.Read(f)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
		return all, nil
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	w.WriteHeader(status)
	// The client may be gone, and nobody else would want to know.
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status int, reason string) {
	answer(w, status, map[string]any{"status": "error", "error": reason})
}
