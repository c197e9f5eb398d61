package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// statusPage publishes an incident at Statuspage. What the public reads comes
// from the few texts below and never from an alert, a name or a log (INV-44, SEC-24).
type statusPage struct {
	client    *http.Client
	url       string
	page      string
	component string
	token     Secret
	publish   bool
	takes     []incident.Severity
	holdDown  time.Duration
	now       func() time.Time
}

var _ Public = (*statusPage)(nil)

func newStatuspage(c *config.Statuspage, now func() time.Time) (*statusPage, error) {
	token, err := NewSecret(c.TokenFile)
	if err != nil {
		return nil, err
	}
	return &statusPage{client: httpClient(), url: strings.TrimSuffix(c.URL, "/"), page: c.PageID, component: c.ComponentID, token: token,
		publish: c.Publish == "auto", takes: c.Severities, holdDown: time.Duration(c.HoldDown), now: now}, nil
}

func (*statusPage) Name() string { return "statuspage" }

// What names the page.
func (s *statusPage) What() string {
	if !s.publish {
		return "page " + s.page + " can be read with the token; publish is off"
	}
	return "page " + s.page + " can be read with the token"
}

// Reach reads the page's component, or the page.
func (s *statusPage) Reach(ctx context.Context) error {
	path := "/v1/pages/" + s.page
	if s.component != "" {
		path += "/components/" + s.component
	}
	return s.send(ctx, http.MethodGet, path, nil, &struct{}{})
}

// publicStates in the order in which they may follow each other: the public
// never reads that a problem went from "monitoring" back to "investigating".
var publicStates = []string{"investigating", "identified", "monitoring", "resolved"}

// publicText is all that is ever published.
func publicText(state string) string {
	return map[string]string{
		"investigating": "We are seeing degraded service and are looking into it.",
		"identified":    "We have found the likely cause and are applying a fix.",
		"monitoring":    "A fix has been applied. We are watching the recovery.",
		"resolved":      "The service has recovered.",
	}[state]
}

// publicState is what the incident means for the public. Only confirmed trouble
// is published: an incident whose rules cannot see says nothing.
func publicState(i incident.Incident) string {
	switch {
	case i.Phase == incident.Resolved:
		return "resolved"
	case i.Phase == incident.Frozen:
		return ""
	case i.Phase == incident.Verifying && slices.ContainsFunc(i.Attempts, func(a incident.Attempt) bool { return a.Verdict == incident.Helped }):
		return "monitoring"
	case i.Op != nil && !i.Op.AppliedAt.IsZero():
		return "identified"
	}
	return "investigating"
}

func (s *statusPage) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	state := publicState(i)
	posted := prev.Ref != ""
	if state == "" || !posted && (state == "resolved" || i.Target.Name == incident.Self || !wanted(i, s.takes)) {
		return prev, nil
	}
	if !s.publish {
		return incident.Receipt{State: "not published (publish: off): " + state, Digest: state}, nil
	}
	if slices.Index(publicStates, state) <= slices.Index(publicStates, prev.Digest) && posted {
		return prev, nil
	}
	// Damped: a state is published once it has lasted.
	if age := s.now().Sub(since(i, state)); age < s.holdDown {
		return prev, &Failure{Err: fmt.Errorf("status page: %s has lasted %s of %s", state, age.Round(time.Second), s.holdDown), After: s.holdDown - age, Held: true}
	}
	method, path := http.MethodPost, "/v1/pages/"+s.page+"/incidents"
	if posted {
		method, path = http.MethodPatch, path+"/"+prev.Ref
	}
	body := map[string]any{"status": state, "body": publicText(state)}
	if !posted {
		body["name"] = "Degraded service"
	}
	if s.component != "" {
		body["component_ids"] = []string{s.component}
		body["components"] = map[string]string{s.component: componentStatus(i, state)}
	}
	var answer struct {
		ID string `json:"id"`
	}
	if err := s.send(ctx, method, path, map[string]any{"incident": body}, &answer); err != nil {
		return prev, err
	}
	if posted {
		answer.ID = prev.Ref
	}
	return incident.Receipt{Ref: answer.ID, State: state, Digest: state}, nil
}

// since is when the incident entered the public state.
func since(i incident.Incident, state string) time.Time {
	switch {
	case state == "resolved":
		return i.ResolvedAt
	case state == "identified" && i.Op != nil:
		return i.Op.AppliedAt
	case state == "monitoring" && len(i.Attempts) > 0:
		return i.Attempts[len(i.Attempts)-1].EndedAt
	}
	return i.OpenedAt
}

func componentStatus(i incident.Incident, state string) string {
	switch {
	case state == "resolved":
		return "operational"
	case i.Severity == incident.P0:
		return "major_outage"
	case i.Severity == incident.P1:
		return "partial_outage"
	}
	return "degraded_performance"
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

func (s *statusPage) send(ctx context.Context, method, path string, body, answer any) error {
	token, err := s.token.read()
	if err != nil {
		return err
	}
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, sent)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "OAuth "+token)
	// Without it Statuspage reads the body as a form (runbook defect 18).
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("status page: %s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode/100 != 2 {
		f := &Failure{Err: fmt.Errorf("status page: %s %s: %s: %s", method, path, resp.Status, cut(oneLine(string(text)), 200))}
		f.Final = resp.StatusCode/100 == 4 && resp.StatusCode != 420 && resp.StatusCode != http.StatusTooManyRequests
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			f.After = time.Duration(n) * time.Second
		}
		return f
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("status page: %s %s: answer: %w", method, path, err)
	}
	return nil
}
