package selfwatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/httpclient"
)

// Reasons for which a heartbeat is withheld.
var Reasons = []string{"unfit", "record", "blind", "evaluation", "store", "receivers", "canary"}

// Beat is where a heartbeat goes, and how.
type Beat struct {
	// URL is asked for each time: it may be a secret that is rotated.
	URL      func() (string, error)
	Method   string
	Interval time.Duration
	Timeout  time.Duration
}

// HeartbeatOptions are the heartbeat's edges.
type HeartbeatOptions struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Transport  http.RoundTripper // default: the one that clients share
	// Leading says whether this replica leads: only the leader's heart beats.
	Leading func() bool
	// Fit returns which of Reasons withholds the heartbeat, and details; "": none does.
	Fit func() (reason, why string)
}

// Heartbeat tells a dead man's switch that watchdog can evaluate, act and page. When
// it stops, the switch notifies people.
type Heartbeat struct {
	o        HeartbeatOptions
	client   *http.Client
	changed  chan struct{}
	sent     *prometheus.CounterVec
	success  prometheus.Gauge
	withheld *prometheus.GaugeVec

	mu   sync.Mutex
	beat *Beat
	said string // the reason that was logged last
}

// NewHeartbeat returns a heartbeat that starts once Use has set its URL.
func NewHeartbeat(o HeartbeatOptions) *Heartbeat {
	f := promauto.With(o.Registerer)
	h := &Heartbeat{
		o: o, changed: make(chan struct{}, 1),
		// A redirect is not followed: the URL is a secret, and an answer from elsewhere is none.
		client: httpclient.New(o.Transport, 0),
		sent: f.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Name: "heartbeats_total",
			Help: "Heartbeats, by result: ok, failed, or withheld: not sent."}, []string{"result"}),
		success: f.NewGauge(prometheus.GaugeOpts{Namespace: "watchdog",
			Name: "heartbeat_last_success_timestamp_seconds",
			Help: "Time at which the dead man's switch last accepted a heartbeat of this replica; 0: never."}),
		withheld: f.NewGaugeVec(prometheus.GaugeOpts{Namespace: "watchdog", Name: "heartbeat_withheld",
			Help: "1 while the leader sends no heartbeat, by the first reason: unfit, blind, evaluation, store, " +
				"receivers, canary."}, []string{"reason"}),
	}
	for _, r := range []string{"ok", "failed", "withheld"} {
		h.sent.WithLabelValues(r)
	}
	h.show("")
	return h
}

// Use sets where the heartbeat goes; nil: nowhere.
func (h *Heartbeat) Use(b *Beat) {
	h.mu.Lock()
	h.beat = b
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// idle is how often the metric is updated without a switch.
const idle = time.Minute

// tryAgain is how soon a heartbeat that was not taken is sent again, at the latest: the
// next one in turn may come too late for the switch.
const tryAgain = 15 * time.Second

// Run beats until ctx ends. Nothing waits for it.
func (h *Heartbeat) Run(ctx context.Context) {
	var due time.Time // of the next one in turn
	for {
		select {
		case <-h.changed: // is seen now
		default:
		}
		h.mu.Lock()
		b := h.beat
		h.mu.Unlock()
		wait := idle
		if b != nil {
			wait = b.Interval
		}
		if now := time.Now(); !now.Before(due) || due.Sub(now) > wait {
			due = now.Add(wait)
		}
		taken := h.once(ctx, b)
		wait = max(0, time.Until(due))
		if !taken {
			wait = min(wait, tryAgain, b.Interval/4)
		}
		next := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-h.changed:
			due = time.Time{}
		case <-next.C:
		}
		next.Stop()
	}
}

// once sends a heartbeat, or says why not. It reports false of one that was not taken.
func (h *Heartbeat) once(ctx context.Context, b *Beat) bool {
	if !h.o.Leading() {
		h.show("")
		return true
	}
	reason, why := h.o.Fit()
	h.show(reason)
	h.say(reason, why)
	if b == nil {
		return true
	}
	if reason != "" {
		h.sent.WithLabelValues("withheld").Inc()
		return true
	}
	if err := h.send(ctx, b); err != nil {
		if ctx.Err() == nil {
			h.sent.WithLabelValues("failed").Inc()
			h.o.Logger.Warn("heartbeat failed; will retry before the next one", "interval", b.Interval, "err",
				err)
		}
		return false
	}
	h.sent.WithLabelValues("ok").Inc()
	h.success.SetToCurrentTime()
	return true
}

// show puts the reason on the metric.
func (h *Heartbeat) show(reason string) {
	for _, r := range Reasons {
		v := 0.0
		if r == reason {
			v = 1
		}
		h.withheld.WithLabelValues(r).Set(v)
	}
}

// say logs a reason once.
func (h *Heartbeat) say(reason, why string) {
	if reason == h.said {
		return
	}
	if reason != "" {
		h.o.Logger.Warn("heartbeat withheld", "reason", reason, "why", why)
	} else {
		h.o.Logger.Info("heartbeats resumed")
	}
	h.said = reason
}

func (h *Heartbeat) send(ctx context.Context, b *Beat) error {
	ctx, cancel := context.WithTimeout(ctx, b.Timeout)
	defer cancel()
	to, err := b.URL()
	if err != nil {
		return fmt.Errorf("send heartbeat: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, b.Method, to, nil)
	if err != nil {
		return errors.New("send heartbeat: its URL cannot be parsed") // the error holds it
	}
	req.Header.Set("User-Agent", "watchdog")
	resp, err := h.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL: whoever knows it can beat for us
		}
		return fmt.Errorf("send heartbeat to %s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("send heartbeat to %s: unexpected response %s", req.URL.Host, resp.Status)
	}
	return nil
}
