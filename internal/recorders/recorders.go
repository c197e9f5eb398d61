// Package recorders is PagerDuty, Slack and Statuspage for tests and the demo:
// servers on loopback that speak the vendors' protocols, keep what they are
// told, and can be made to fail in the ways the real ones do.
package recorders

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Mode is how a receiver answers.
type Mode string

// Modes.
const (
	OK         Mode = ""
	Limited    Mode = "429"         // too many requests, Retry-After 1
	Broken     Mode = "500"         // refused with a server error
	Applied500 Mode = "applied-500" // taken, but answered with a server error
	Hang       Mode = "hang"        // never answered
	Reset      Mode = "reset"       // connection cut
)

// Options of a Recorder.
type Options struct {
	// OnRequest, if set, is told of each request that was recorded.
	OnRequest func(Request)
}

// Request is one message that arrived.
type Request struct {
	At       time.Time       `json:"at"`
	Receiver string          `json:"receiver"` // pagerduty, slack, statuspage
	Action   string          `json:"action"`   // trigger, resolve, post, update, create
	Key      string          `json:"key"`      // dedup key, message timestamp, incident id
	Summary  string          `json:"summary"`
	Body     json.RawMessage `json:"body"`
}

// Snapshot is everything that arrived so far.
type Snapshot struct{ Requests []Request }

// Incident is one incident as the other side shows it.
type Incident struct {
	Key     string
	State   string
	Summary string
	Updates int
}

// Recorder is all three receivers, under /pagerduty, /slack and /statuspage.
type Recorder struct {
	o   Options
	mux *http.ServeMux

	mu    sync.Mutex
	all   []Request
	modes map[string]Mode
	news  chan struct{}
	ids   int
}

// maxRequests bounds the memory of a recorder, maxBody one request.
const (
	maxRequests = 10_000
	maxBody     = 1 << 20
)

// New returns a recorder that has seen nothing.
func New(o Options) *Recorder {
	r := &Recorder{o: o, mux: http.NewServeMux(), modes: map[string]Mode{}, news: make(chan struct{})}
	r.mux.HandleFunc("POST /pagerduty/v2/enqueue", r.pagerDuty)
	r.mux.HandleFunc("POST /slack/api/{method}", r.slack)
	r.mux.HandleFunc("POST /statuspage/v1/pages/{page}/incidents", r.statuspage)
	r.mux.HandleFunc("PATCH /statuspage/v1/pages/{page}/incidents/{id}", r.statuspage)
	r.mux.HandleFunc("GET /recorded", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, r.Snapshot().Requests) })
	return r
}

func (r *Recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.mux.ServeHTTP(w, req) }

// Set changes how a receiver answers from now on.
func (r *Recorder) Set(receiver string, m Mode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.modes[receiver] = m
}

// Snapshot returns what arrived so far.
func (r *Recorder) Snapshot() Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Snapshot{Requests: append([]Request(nil), r.all...)}
}

// WaitFor returns once ok says so of what has arrived.
func (r *Recorder) WaitFor(ctx context.Context, ok func(Snapshot) bool) error {
	for {
		r.mu.Lock()
		news := r.news
		r.mu.Unlock()
		if ok(r.Snapshot()) {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// PagerDutyIncidents returns the incidents there, one per dedup key.
func (r *Recorder) PagerDutyIncidents() map[string]Incident {
	return r.fold("pagerduty", map[string]string{"trigger": "triggered", "resolve": "resolved", "acknowledge": "acknowledged"})
}

// SlackMessages returns the messages in the channel, one per timestamp, as last edited.
func (r *Recorder) SlackMessages() map[string]Incident {
	return r.fold("slack", map[string]string{"post": "posted", "update": "edited"})
}

// StatuspageIncidents returns the incidents on the page, with the last status.
func (r *Recorder) StatuspageIncidents() map[string]Incident { return r.fold("statuspage", nil) }

func (r *Recorder) fold(receiver string, states map[string]string) map[string]Incident {
	all := map[string]Incident{}
	for _, q := range r.Snapshot().Requests {
		if q.Receiver != receiver {
			continue
		}
		i := all[q.Key]
		i.Key, i.Summary, i.State = q.Key, q.Summary, q.Action
		if s, ok := states[q.Action]; ok {
			i.State = s
		}
		i.Updates++
		all[q.Key] = i
	}
	return all
}

// take records a request and says whether it is to be answered as usual.
func (r *Recorder) take(w http.ResponseWriter, req *http.Request, q Request) bool {
	r.mu.Lock()
	mode := r.modes[q.Receiver]
	if mode == OK || mode == Applied500 {
		q.At = time.Now()
		if len(r.all) < maxRequests {
			r.all = append(r.all, q)
		}
		close(r.news)
		r.news = make(chan struct{})
	}
	r.mu.Unlock()
	switch mode {
	case OK:
		if r.o.OnRequest != nil {
			r.o.OnRequest(q)
		}
		return true
	case Limited:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case Hang:
		<-req.Context().Done()
	case Reset:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
	return false
}

func (r *Recorder) id() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids++
	return fmt.Sprintf("%d", r.ids)
}

// pagerDuty is the Events API v2.
func (r *Recorder) pagerDuty(w http.ResponseWriter, req *http.Request) {
	b, err := body(req)
	var e struct {
		RoutingKey string `json:"routing_key"`
		Action     string `json:"event_action"`
		DedupKey   string `json:"dedup_key"`
		Payload    *struct{ Summary, Source, Severity string }
	}
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	switch {
	case err != nil:
	case len(e.RoutingKey) != 32:
		err = fmt.Errorf("routing_key is missing or has not 32 characters")
	case e.Action == "trigger" && (e.Payload == nil || e.Payload.Summary == "" || e.Payload.Source == "" || !strings.Contains("critical error warning info", e.Payload.Severity)):
		err = fmt.Errorf("payload needs summary, source and severity")
	case e.Action == "resolve" && e.DedupKey == "":
		err = fmt.Errorf("resolve needs dedup_key")
	case !strings.Contains("trigger acknowledge resolve", e.Action) || e.Action == "":
		err = fmt.Errorf("unknown event_action %q", e.Action)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": []string{err.Error()}})
		return
	}
	q := Request{Receiver: "pagerduty", Action: e.Action, Key: e.DedupKey, Body: b}
	if e.Payload != nil {
		q.Summary = e.Payload.Summary
	}
	if r.take(w, req, q) {
		answer(w, http.StatusAccepted, map[string]any{"status": "success", "message": "Event processed", "dedup_key": e.DedupKey})
	}
}

// slack is chat.postMessage and chat.update, as a form or as JSON.
func (r *Recorder) slack(w http.ResponseWriter, req *http.Request) {
	b, err := body(req)
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"ok": false, "error": "invalid_body"})
		return
	}
	values := map[string]string{}
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		raw := map[string]any{}
		_ = json.Unmarshal(b, &raw)
		for k, v := range raw {
			values[k] = fmt.Sprint(v)
		}
	} else if form, err := url.ParseQuery(string(b)); err == nil {
		for k := range form {
			values[k] = form.Get(k)
		}
	}
	if !strings.HasPrefix(req.Header.Get("Authorization"), "Bearer xoxb-") && !strings.HasPrefix(values["token"], "xoxb-") {
		answer(w, http.StatusOK, map[string]any{"ok": false, "error": "not_authed"})
		return
	}
	q := Request{Receiver: "slack", Summary: values["text"], Key: values["ts"]}
	q.Body, _ = json.Marshal(values)
	switch req.PathValue("method") {
	case "chat.postMessage":
		q.Action, q.Key = "post", fmt.Sprintf("1700000000.%06s", r.id())
	case "chat.update":
		q.Action = "update"
	default:
		answer(w, http.StatusOK, map[string]any{"ok": false, "error": "unknown_method"})
		return
	}
	if values["channel"] == "" || q.Key == "" {
		answer(w, http.StatusOK, map[string]any{"ok": false, "error": "channel_not_found"})
		return
	}
	if r.take(w, req, q) {
		answer(w, http.StatusOK, map[string]any{"ok": true, "channel": "C0DEMO", "ts": q.Key, "text": q.Summary})
	}
}

// statuspage is creating and updating incidents of a page.
func (r *Recorder) statuspage(w http.ResponseWriter, req *http.Request) {
	b, err := body(req)
	var e struct {
		Incident struct{ Name, Status, Body string }
	}
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	switch {
	case !strings.HasPrefix(req.Header.Get("Authorization"), "OAuth "):
		answer(w, http.StatusUnauthorized, map[string]any{"error": "Could not authenticate"})
		return
	case err != nil || !strings.HasPrefix(req.Header.Get("Content-Type"), "application/json"):
		answer(w, http.StatusUnprocessableEntity, map[string]any{"error": []string{"name can't be blank"}})
		return
	}
	q := Request{Receiver: "statuspage", Action: e.Incident.Status, Key: req.PathValue("id"), Summary: e.Incident.Body, Body: b}
	status := http.StatusOK
	if q.Key == "" {
		q.Key, status = "sp"+r.id(), http.StatusCreated
	}
	if r.take(w, req, q) {
		answer(w, status, map[string]any{"id": q.Key, "status": e.Incident.Status, "name": e.Incident.Name})
	}
}

func body(req *http.Request) ([]byte, error) { return io.ReadAll(io.LimitReader(req.Body, maxBody)) }

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
