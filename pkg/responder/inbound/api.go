package inbound

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

// APIOptions are the edges of the HTTP API for responder actions.
type APIOptions struct {
	Logger  *slog.Logger
	Service Service
	// Who returns whose bearer token it is; errors for which Unknown says so are the
	// caller's, all others mean that it is unknown now.
	Who     func(ctx context.Context, token string) (responder.Person, error)
	Unknown func(error) bool
	// On reports whether the API accepts requests.
	On func() bool
}

// api accepts responder actions by HTTP.
type api struct{ o APIOptions }

// API returns the handlers of the API, by pattern.
func API(o APIOptions) map[string]http.Handler {
	a := api{o}
	return map[string]http.Handler{
		"POST /api/v1/incidents/{id}/ack":      a.action(responder.Ack, "reason"),
		"POST /api/v1/incidents/{id}/approve":  a.action(responder.Approve, "plan", "op", "reason"),
		"POST /api/v1/incidents/{id}/deny":     a.action(responder.Deny, "plan", "op", "reason"),
		"POST /api/v1/incidents/{id}/severity": a.action(responder.Grade, "to", "reason"),
		"POST /api/v1/incidents/{id}/notes":    a.action(responder.Note, "text", "as", "id"),
		"POST /api/v1/incidents/{id}/publish":  a.action(responder.Publish, "reason", "until", "release"),
		"POST /api/v1/incidents/{id}/hold":     a.action(responder.Hold, "reason", "until"),
		"POST /api/v1/incidents/{id}/resume":   a.action(responder.Resume, "reason"),
		"POST /api/v1/incidents/{id}/undo":     a.action(responder.Undo, "reason"),
	}
}

// apiBody is the body of a request, of which each action takes some members.
type apiBody struct {
	Reason string `json:"reason"`
	Plan   string `json:"plan"`
	Op     string `json:"op"`
	To     string `json:"to"`
	As     string `json:"as"`
	Text   string `json:"text"`
	ID     string `json:"id"`
	// Until is a time in RFC 3339, Release "true".
	Until   string `json:"until"`
	Release string `json:"release"`
}

func (a api) action(verb responder.Action, members ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.o.On() {
			failUnread(w, http.StatusNotFound, "responder actions are disabled: api.control is not set")
			return
		}
		p, ok := a.who(w, r)
		if !ok {
			return
		}
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			failUnread(w, http.StatusUnsupportedMediaType, "the Content-Type must be application/json")
			return
		}
		body, err := readBody(w, r, maxBody)
		switch {
		case errors.Is(err, errTooLarge):
			failUnread(w, http.StatusRequestEntityTooLarge, err.Error())
			return
		case err != nil:
			fail(w, http.StatusBadRequest, "the body is incomplete")
			return
		}
		s, err := parseBody(body, members)
		var action responder.Request
		if err == nil {
			action, err = s.request(verb, r.PathValue("id"))
		}
		if err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), actionTime)
		defer cancel()
		if verb == responder.Note {
			// Nobody writes over another's note, nor over an own one by chance.
			action.ID = "api-" + p.Name + "-" + cmp.Or(shown(action.ID, maxID), strconv.FormatUint(rand.Uint64(), 36))
		}
		text, err := a.o.Service.Do(ctx, p, action)
		a.answer(w, text, err)
	})
}

// who asks whose token it is. There is no other way to say who one is: not the
// address, not a certificate of the network.
func (a api) who(w http.ResponseWriter, r *http.Request) (responder.Person, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "bearer") || token == "" || len(token) > maxToken {
		w.Header().Set("WWW-Authenticate", "Bearer")
		failUnread(w, http.StatusUnauthorized, "send a Kubernetes token in the header Authorization: Bearer TOKEN")
		return responder.Person{}, false
	}
	p, err := a.o.Who(r.Context(), token)
	switch {
	case err == nil:
		return p, true
	case a.o.Unknown(err):
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		failUnread(w, http.StatusUnauthorized, err.Error())
	default:
		a.o.Logger.Error("request refused: cannot authenticate its token", "err", err)
		failUnread(w, http.StatusServiceUnavailable,
			"cannot authenticate the token: the Kubernetes API did not respond; try again")
	}
	return responder.Person{}, false
}

// maxToken is above what an API server issues.
const maxToken = 16 << 10

// parseBody reads a body: one JSON object with no other members, or nothing.
func parseBody(body []byte, members []string) (apiBody, error) {
	var s apiBody
	if len(bytes.TrimSpace(body)) == 0 {
		return s, nil
	}
	var names map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&names); err != nil {
		return s, fmt.Errorf("the body is not a JSON object: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return s, errors.New("the body is more than one JSON object")
	}
	// encoding/json would take other cases of letters for the same name.
	fields := map[string]*string{"reason": &s.Reason, "plan": &s.Plan, "op": &s.Op, "to": &s.To, "as": &s.As,
		"text": &s.Text, "id": &s.ID, "until": &s.Until, "release": &s.Release}
	taken := map[string]*string{}
	for _, m := range members {
		taken[m] = fields[m]
	}
	for name, v := range names {
		f := taken[name]
		if f == nil {
			return apiBody{}, fmt.Errorf("%q is not a field of this body; expected one of: %s", shown(name, maxID),
				strings.Join(members, ", "))
		}
		if err := json.Unmarshal(v, f); err != nil || string(v) == "null" {
			return apiBody{}, fmt.Errorf("%q must be a string", name)
		}
	}
	return s, nil
}

func (s apiBody) request(action responder.Action, id string) (responder.Request, error) {
	r := responder.Request{Action: action, Incident: id, Reason: s.Reason, Plan: s.Plan, Op: s.Op,
		To: incident.Severity(strings.ToUpper(s.To)), As: s.As, ID: s.ID, Source: SourceAPI}
	if action == responder.Note {
		r.Reason = s.Text
	}
	if s.Until != "" {
		until, err := time.Parse(time.RFC3339, s.Until)
		if err != nil {
			return r, fmt.Errorf("\"until\" must be an RFC 3339 time: %w", err)
		}
		r.Until = until
	}
	if r.Release = s.Release == "true"; s.Release != "" && !r.Release {
		return r, errors.New("\"release\" must be \"true\" or omitted")
	}
	if r.Release && !r.Until.IsZero() {
		return r, errors.New("\"until\" and \"release\" are mutually exclusive")
	}
	return r, nil
}

func (a api) answer(w http.ResponseWriter, text string, err error) {
	no := (*responder.Refused)(nil)
	switch {
	case err == nil:
		answer(w, http.StatusOK, map[string]any{"status": "success", "data": map[string]string{"text": text}})
	case errors.As(err, &no) && no.Forbidden:
		fail(w, http.StatusForbidden, no.Reason)
	case errors.As(err, &no):
		fail(w, http.StatusConflict, no.Reason)
	default:
		a.o.Logger.Error("request not applied", "err", err)
		fail(w, http.StatusServiceUnavailable,
			"the request was not applied: the Kubernetes API did not respond; try again")
	}
}
