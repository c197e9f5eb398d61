package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/semaphore"

	"watchdog.io/watchdog/pkg/ingest"
)

// AlertmanagerPath is where Alertmanager and Grafana post.
const AlertmanagerPath = "/webhook/alertmanager"

// Limits of the webhook.
const (
	maxBody  = 16 << 20         // bytes; 10,000 alerts of 1.6 KiB
	bodyTime = 10 * time.Second // for the body to arrive

	// Bodies in flight, in bytes: a large one and a thousand small ones fit.
	maxBodies = 24 << 20
	// Members of bodies in flight, which are counted by their colons. Each costs some
	// hundred bytes until its alert is on disk, so that five small bodies made of
	// nothing else would cost more than all that watchdog is given. The largest body
	// leaves room for small ones.
	maxMembers = 500_000
	// minBody is what even the smallest request counts for, which bounds their number.
	minBody = 16 << 10
	// roomTime is how long a body waits for room before it is refused.
	roomTime = time.Second
	// lateTime is how long the server waits for what is left of a body that was
	// refused unread; it answers after that.
	lateTime = time.Second
)

// AlertmanagerOptions are the edges of the webhook.
type AlertmanagerOptions struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Senders may post with a token; asked at each request, as a reload may change
	// them. Client certificates and users of basic auth are those of WebConfig, the
	// file that Serve was given. With neither, all are refused.
	Senders   func() []Sender
	WebConfig string
	// Accept returns nil once the alerts are on disk: ingest.Ingester's.
	Accept func(ctx context.Context, alerts []ingest.Alert) error
	// Forward says who leads; nil: this process accepts all by itself.
	Forward *Forward
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// alertmanager takes version 4 of Alertmanager's webhook. It answers 2xx only for
// what is on disk. Alertmanager repeats what was refused with 5xx, and nothing else
// (not 429 either), until the next interval of the group: so everything that may
// pass is 503, and everything that will not is 4xx.
type alertmanager struct {
	o       AlertmanagerOptions
	senders senders
	room    *semaphore.Weighted // for bodies
	members *semaphore.Weighted
	metrics *webhookMetrics

	oddities struct {
		sync.Mutex
		logged map[string]bool
	}
}

// refusal is why a request is not accepted.
type refusal struct {
	status int
	reason string        // label of the metric
	text   string        // for the sender
	retry  time.Duration // 0: sending it again changes nothing
}

func (r refusal) Error() string { return r.text }

// Alertmanager returns the handler of AlertmanagerPath.
func Alertmanager(o AlertmanagerOptions) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &alertmanager{o: o, senders: senders{tokens: o.Senders, webConfig: o.WebConfig},
		room: semaphore.NewWeighted(maxBodies), members: semaphore.NewWeighted(maxMembers),
		metrics: newWebhookMetrics(o.Registerer)}
	h.oddities.logged = map[string]bool{}
	return h
}

// ServeHTTP accepts, passes on, or refuses one webhook.
func (h *alertmanager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	reason := "accepted"
	defer func() {
		h.metrics.requests.WithLabelValues(reason).Inc()
		h.metrics.duration.Observe(time.Since(began).Seconds())
	}()
	said, err := h.take(w, r)
	var no refusal
	switch {
	case errors.As(err, &no):
		reason = no.reason
		h.refuse(w, no)
	case said.status != 0:
		reason = "forwarded"
		if said.retryAfter != "" {
			w.Header().Set("Retry-After", said.retryAfter)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(said.status)
		_, _ = w.Write(said.body)
	default:
		write(w, http.StatusOK, map[string]any{"status": "success"})
	}
}

// take does the work of one request. Its error is a refusal; its answer is the
// leader's when the request was passed on.
func (h *alertmanager) take(w http.ResponseWriter, r *http.Request) (answer, error) {
	if r.Method != http.MethodPost {
		return answer{}, refusal{http.StatusMethodNotAllowed, "unsupported", "send alerts with POST", 0}
	}
	sender, err := h.senders.of(r)
	switch {
	case errors.Is(err, errCannotTell):
		h.o.Logger.Error("Rejected a webhook: cannot check the sender's credentials", "err", err)
		return answer{}, refusal{http.StatusServiceUnavailable, "credentials_unreadable", errCannotTell.Error(),
			10 * time.Second}
	case err != nil:
		return answer{}, refusal{http.StatusUnauthorized, "unauthenticated", err.Error(), 0}
	}
	if err := acceptable(r); err != nil {
		return answer{}, err
	}
	size := max(min(r.ContentLength, maxBody), minBody)
	if r.ContentLength < 0 {
		size = maxBody
	}
	release, err := enter(r.Context(), h.room, size)
	if err != nil {
		return answer{}, err
	}
	defer release()
	body, err := read(w, r)
	if err != nil {
		return answer{}, err
	}
	if !h.o.Forward.leads() {
		said, err := h.o.Forward.send(r, h.senders.credentials(r), body)
		if err != nil {
			return answer{}, refusal{http.StatusServiceUnavailable, "no_leader", "this replica is not the leader: " +
				err.Error(), 2 * time.Second}
		}
		return said, nil
	}
	return answer{}, h.accept(r.Context(), body, sender)
}

// enter waits for room for n, a while.
func enter(ctx context.Context, room *semaphore.Weighted, n int64) (release func(), err error) {
	wait, cancel := context.WithTimeout(ctx, roomTime)
	defer cancel()
	if err := room.Acquire(wait, n); err != nil {
		return nil, refusal{http.StatusServiceUnavailable, "busy",
			"too many alerts are being accepted at once; retry", time.Second}
	}
	return func() { room.Release(n) }, nil
}

// accept returns nil once the alerts in body are on disk.
func (h *alertmanager) accept(ctx context.Context, body []byte, sender string) error {
	release, err := enter(ctx, h.members, int64(min(bytes.Count(body, []byte(":")), maxMembers*9/10)))
	if err != nil {
		return err
	}
	defer release()
	p, err := ingest.Decode(body, sender, h.o.Now())
	if err != nil {
		return refusal{http.StatusBadRequest, "malformed", err.Error(), 0}
	}
	h.metrics.truncated.Add(float64(p.Truncated))
	h.warn(sender, p.Warnings)
	switch err := h.o.Accept(ctx, p.Alerts); {
	case err == nil:
		return nil
	case errors.Is(err, ingest.ErrFull):
		return refusal{http.StatusServiceUnavailable, "full", err.Error(), time.Minute}
	case ctx.Err() != nil:
		return refusal{http.StatusServiceUnavailable, "canceled", "the request was canceled before its alerts were on disk",
			time.Second}
	default:
		h.o.Logger.Debug("Rejected a webhook", "sender", sender, "err", err)
		return refusal{http.StatusServiceUnavailable, "unwritable",
			"cannot write alerts to disk; see the log and watchdog_ingest_journal_failures_total",
			5 * time.Second}
	}
}

// maxOddities bounds the oddities that are remembered, so that each is logged once.
const maxOddities = 200

// odd counts what was unusual about alerts, and logs each kind of it once.
func (h *alertmanager) warn(sender string, o ingest.Warnings) {
	h.metrics.odd.WithLabelValues("cleaned").Add(float64(o.Cleaned))
	h.metrics.odd.WithLabelValues("dropped").Add(float64(o.Dropped))
	h.oddities.Lock()
	defer h.oddities.Unlock()
	for _, text := range o.Texts {
		_, what, _ := strings.Cut(text, ": ") // which alert of its group it was is by chance
		key := sender + ": " + what
		if h.oddities.logged[key] || len(h.oddities.logged) >= maxOddities {
			continue
		}
		h.oddities.logged[key] = true
		h.o.Logger.Warn("Changed or dropped an alert of a webhook; accepted the other alerts of the group", "sender",
			sender, "what", text)
	}
}

// acceptable looks at what can be told without reading the body.
func acceptable(r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil || kind != "application/json":
		return refusal{http.StatusUnsupportedMediaType, "unsupported", "the Content-Type must be application/json", 0}
	case r.Header.Get("Content-Encoding") != "" && r.Header.Get("Content-Encoding") != "identity":
		// No sender of this protocol compresses, and a small body that becomes a huge one is an attack.
		return refusal{http.StatusUnsupportedMediaType, "unsupported",
			"compressed bodies are not supported; send no Content-Encoding", 0}
	case r.ContentLength > maxBody:
		return tooLarge
	}
	return nil
}

var tooLarge = refusal{http.StatusRequestEntityTooLarge, "too_large",
	fmt.Sprintf("the body is larger than %d MiB; send fewer alerts per request (max_alerts)", maxBody>>20), 0}

// read returns the body, if it arrives in time and is not too large.
func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	conn := http.NewResponseController(w)
	// A writer without a connection (a test's recorder) has no deadline to set.
	_ = conn.SetReadDeadline(time.Now().Add(bodyTime))
	limited := http.MaxBytesReader(w, r.Body, maxBody)
	var body []byte
	var err error
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	} else {
		body, err = io.ReadAll(limited)
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, refusal{http.StatusRequestTimeout, "slow",
			fmt.Sprintf("the body did not arrive within %s", bodyTime), 0}
	case err != nil:
		return nil, refusal{http.StatusBadRequest, "malformed", "the body is incomplete", 0}
	}
	// Or the server would take what is still to come on this connection for late.
	_ = conn.SetReadDeadline(time.Time{})
	return body, nil
}

func (h *alertmanager) refuse(w http.ResponseWriter, no refusal) {
	switch {
	case no.status == http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case no.status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case no.status == http.StatusUnsupportedMediaType:
		w.Header().Set("Accept-Encoding", "identity")
	case no.status == http.StatusRequestTimeout:
		w.Header().Set("Connection", "close")
	}
	if no.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(no.retry.Seconds())))
	}
	// A sender that was refused holds its connection no longer than that.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lateTime))
	fail(w, no.status, no.text)
}

type webhookMetrics struct {
	requests  *prometheus.CounterVec
	duration  prometheus.Histogram
	truncated prometheus.Counter
	odd       *prometheus.CounterVec
}

func newWebhookMetrics(r prometheus.Registerer) *webhookMetrics {
	f := promauto.With(r)
	m := &webhookMetrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Subsystem: "webhook",
			Name: "requests_total", Help: "Alertmanager webhooks by result: accepted (on disk), forwarded (the " +
				"leader answered), or the reason for the rejection."}, []string{"result"}),
		duration: f.NewHistogram(prometheus.HistogramOpts{Namespace: "watchdog", Subsystem: "webhook",
			Name: "request_duration_seconds", Help: "Duration of Alertmanager webhook requests.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}),
		truncated: f.NewCounter(prometheus.CounterOpts{Namespace: "watchdog", Subsystem: "webhook",
			Name: "truncated_alerts_total",
			Help: "Alerts that senders omitted from their webhooks (max_alerts)."}),
		odd: f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Subsystem: "webhook",
			Name: "odd_alerts_total", Help: "Alerts that were changed or rejected: cleaned (control " +
				"characters removed, long texts truncated) or dropped (unreadable). The rest of their group was " +
				"accepted."}, []string{"result"}),
	}
	for _, result := range []string{"cleaned", "dropped"} {
		m.odd.WithLabelValues(result)
	}
	for _, result := range []string{"accepted", "forwarded", "unauthenticated", "credentials_unreadable", "unsupported",
		"too_large", "busy", "slow", "malformed", "no_leader", "full", "unwritable", "canceled"} {
		m.requests.WithLabelValues(result)
	}
	return m
}
