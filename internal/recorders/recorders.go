// Package recorders is PagerDuty, Slack, Statuspage, a mail server and whatever takes a webhook, for tests and the
// demo:
// servers on loopback that speak the vendors' protocols, keep what they are
// told, and can be made to fail in the ways the real ones do.
//
// It owns what the other side would have seen and leaves to the tests what should
// have been seen. Its one rule: what the vendor would refuse is refused here too,
// so that a test cannot pass on a message that nobody would ever have read.
package recorders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The receivers, as Request.Receiver names them.
const (
	PagerDuty  = "pagerduty"
	Slack      = "slack"
	Statuspage = "statuspage"
	Webhook    = "webhook"
	Email      = "email"
)

// Receivers returns the names of all receivers; internal/house compares them with receivers.Kinds.
func Receivers() []string { return []string{PagerDuty, Slack, Statuspage, Webhook, Email} }

// Options of a Recorder; the zero value is fit for use.
type Options struct {
	// OnRequest, if set, is told of each request that was recorded, possibly by
	// several goroutines at once.
	OnRequest func(Request)
	// SlowBy is how long a slow receiver takes to answer; 0 means 3 s.
	SlowBy time.Duration
}

// Request is one message that arrived and was understood.
type Request struct {
	At       time.Time `json:"at"`
	Receiver string    `json:"receiver"` // one of Receivers
	// PagerDuty: trigger, acknowledge, resolve, change; Slack: post, reply, update, ephemeral; Statuspage: the
	// incident's status, or component; e-mail: mail
	Action string `json:"action"`
	// dedup key, message timestamp, the user of an ephemeral message, incident or component id, Message-ID
	Key     string `json:"key"`
	Summary string `json:"summary"`
	// as sent; for Slack the fields without the token, as JSON; a mail as one JSON string
	Body json.RawMessage `json:"body"`
}

// Recorder is all receivers, under /pagerduty, /slack/api, /statuspage and /webhook/NAME, and by ServeSMTP.
// GET /recorded lists what arrived, POST /mode changes how a receiver answers.
type Recorder struct {
	o   Options
	mux *http.ServeMux

	mu        sync.Mutex
	all       []Request
	attempts  map[string]int
	modes     map[string]Mode
	served    map[string]time.Time // when a receiver that is limited last took a request
	news      chan struct{}        // closed by each attempt
	moded     chan struct{}        // closed by each change of a mode
	sockets   []*socket
	nextID    int
	lastStamp int
}

// maxRequests bounds the memory of a recorder, maxBody one request.
const (
	maxRequests = 10_000
	maxBody     = 1 << 20
)

// New returns a recorder that has seen nothing and answers as it should.
func New(o Options) *Recorder {
	if o.SlowBy <= 0 {
		o.SlowBy = 3 * time.Second
	}
	r := &Recorder{o: o, mux: http.NewServeMux(), attempts: map[string]int{}, modes: map[string]Mode{},
		served: map[string]time.Time{},
		news:   make(chan struct{}), moded: make(chan struct{})}
	r.mux.HandleFunc("POST /pagerduty/v2/enqueue", r.pagerDuty)
	r.mux.HandleFunc("POST /pagerduty/v2/change/enqueue", r.pagerDutyChange)
	r.mux.HandleFunc("POST /slack/api/{method}", r.slack)
	r.mux.HandleFunc("GET /slack/socket", r.socket)
	r.mux.HandleFunc("POST /statuspage/v1/pages/{page}/incidents", r.statuspageIncident)
	r.mux.HandleFunc("PATCH /statuspage/v1/pages/{page}/incidents/{id}", r.statuspageIncident)
	r.mux.HandleFunc("PATCH /statuspage/v1/pages/{page}/components/{id}", r.statuspageComponent)
	r.mux.HandleFunc("GET /statuspage/v1/pages/{page}", r.statuspageRead)
	r.mux.HandleFunc("GET /statuspage/v1/pages/{page}/components", r.statuspageRead)
	r.mux.HandleFunc("GET /statuspage/v1/pages/{page}/components/{id}", r.statuspageRead)
	r.mux.HandleFunc("GET /statuspage/v1/pages/{page}/incidents", r.statuspageRead)
	r.mux.HandleFunc("GET /statuspage/v1/pages/{page}/incidents/{list}", r.statuspageRead)
	r.mux.HandleFunc("POST /webhook/{name}", r.webhook)
	r.mux.HandleFunc("GET /recorded", r.recorded)
	r.mux.HandleFunc("POST /mode", r.setMode)
	return r
}

// ServeHTTP is all receivers.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.mux.ServeHTTP(w, req) }

// Attempts returns how many well-formed requests reached a receiver, also those
// that it refused because of its mode.
func (r *Recorder) Attempts(receiver string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts[receiver]
}

// WaitFor returns once ok says so of what has arrived; it asks again at each
// arrival, and at each attempt. Its error says what had arrived by then.
func (r *Recorder) WaitFor(ctx context.Context, ok func(Snapshot) bool) error {
	for {
		r.mu.Lock()
		news := r.news
		r.mu.Unlock()
		s := r.Snapshot()
		if ok(s) {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("wait for receivers: %w; %s", ctx.Err(), s)
		}
	}
}

// apply is the part of taking a request that needs the other requests: it fills
// in the key, or returns why the vendor would refuse it. It runs under the lock.
type apply func(q *Request) *refusal

// refusal is a vendor's way of saying no.
type refusal struct {
	status int
	body   any
}

// take counts a request, treats it as the receiver's mode says and records it. It
// says whether it is to be answered as usual; if not, it has answered.
func (r *Recorder) take(w http.ResponseWriter, req *http.Request, q *Request, do apply) bool {
	mode, moded, no := r.enter(q, do)
	if no != nil {
		answer(w, no.status, no.body)
		return false
	}
	if mode.takes() && r.o.OnRequest != nil {
		r.o.OnRequest(*q)
	}
	return r.behave(w, req, q, mode, moded)
}

// enter records the request if the mode lets it in, in one step with finding the mode.
func (r *Recorder) enter(q *Request, do apply) (Mode, <-chan struct{}, *refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts[q.Receiver]++
	close(r.news) // whoever waits looks only after this function's unlock
	r.news = make(chan struct{})
	q.At = time.Now()
	mode := r.effective(q.Receiver, q.At)
	if !mode.takes() {
		return mode, r.moded, nil
	}
	if len(r.all) >= maxRequests {
		return mode, r.moded, &refusal{http.StatusInsufficientStorage,
			map[string]string{"error": fmt.Sprintf("the recorder holds %d requests and takes no more", maxRequests)}}
	}
	if no := do(q); no != nil {
		return mode, r.moded, no
	}
	r.all = append(r.all, *q)
	return mode, r.moded, nil
}

// knows reports whether a receiver was told of the key; the lock must be held.
func (r *Recorder) knows(receiver, key string, actions ...string) bool {
	return slices.ContainsFunc(r.all, func(q Request) bool {
		return q.Receiver == receiver && q.Key == key && (len(actions) == 0 || slices.Contains(actions, q.Action))
	})
}

// id returns a new identifier; the lock must be held.
func (r *Recorder) id(prefix string) string {
	r.nextID++
	return fmt.Sprintf("%s%d", prefix, r.nextID)
}

func (r *Recorder) recorded(w http.ResponseWriter, _ *http.Request) {
	all := r.Snapshot().Requests
	if all == nil {
		all = []Request{}
	}
	answer(w, http.StatusOK, all)
}

var errTooLong = errors.New("body: larger than 1 MiB")

func body(req *http.Request) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
	if err == nil && len(b) > maxBody {
		err = errTooLong
	}
	return b, err
}

func isJSON(req *http.Request) bool {
	return strings.HasPrefix(req.Header.Get("Content-Type"), "application/json")
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may be gone, and nobody else would want to know.
	_ = json.NewEncoder(w).Encode(v)
}
