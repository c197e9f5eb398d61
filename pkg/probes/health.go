package probes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/strutil"
)

const (
	defaultMaxSkew = time.Minute
	maxChecks      = 100
	maxName        = 128
	century        = 100 * 365 * 24 * time.Hour
)

// NewHealth returns the probe for the health document of runbook 2.1. It
// remembers the newest start of a process, to notice restarts.
func NewHealth(conf config.HealthProbe, resolver *net.Resolver) (Probe, error) {
	client, err := newClient(conf.HTTPClient, "", resolver)
	if err != nil {
		return nil, err
	}
	health := &health{client: client, version: conf.Version, maxSkew: time.Duration(conf.MaxSkew)}
	if health.maxSkew <= 0 {
		health.maxSkew = defaultMaxSkew
	}
	return health.look, nil
}

type health struct {
	client  *client
	version string
	maxSkew time.Duration
	starts  starts
}

func (h *health) look(ctx context.Context, at time.Time) (Result, error) {
	got, err := h.client.fetch(ctx)
	if err != nil {
		return outcome(err)
	}
	refused := refuseStatus(h.client.what(), got)
	if refused != nil && got.status < 500 {
		return outcome(refused)
	}
	doc, err := readHealth(got)
	if refused != nil {
		result, _ := outcome(refused)
		// A 503 often carries the very document that says which dependency is down.
		if err == nil && doc.skew(at) <= h.maxSkew {
			result.Samples = doc.dependencies(at)
			result.Detail = oneLine(result.Detail + ": " + doc.summary())
		}
		return result, nil
	}
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", h.client.what(), err)
	}
	return h.judge(doc, at), nil
}

func (h *health) judge(doc healthDocument, at time.Time) Result {
	result := Result{Samples: []*model.Sample{
		newSample(at, "watchdog_health_timestamp_skew_seconds", doc.skew(at).Seconds()),
	}}
	if doc.skew(at) > h.maxSkew {
		result.Detail = h.client.what() + ": " + staleError(doc.skew(at), h.maxSkew).Error()
		return result
	}
	result.State, result.Detail = OK, oneLine(doc.summary())
	if !strings.EqualFold(doc.status, "healthy") {
		result.State = Bad
	}
	result.Samples = append(result.Samples, doc.dependencies(at)...)
	if doc.uptime >= 0 {
		result.Samples = append(result.Samples,
			newSample(at, "watchdog_health_uptime_seconds", doc.uptime.Seconds()),
			newSample(at, "watchdog_health_restarts_total", h.starts.seen(at, doc.uptime)))
	}
	if doc.version != "" {
		result.Facts = map[string]string{"version": doc.version}
		result.Samples = append(result.Samples, newSample(at, "watchdog_health_info", 1, "version", doc.version))
	}
	if doc.version != "" && h.version != "" {
		result.Samples = append(result.Samples,
			newSample(at, "watchdog_health_version_mismatch", truth(doc.version != h.version)))
	}
	return result
}

// healthDocument is the health document as understood. Status and timestamp
// are required; what else is there must make sense.
type healthDocument struct {
	status    string
	timestamp time.Time
	version   string
	uptime    time.Duration // -1: not given
	checks    map[string]string
}

func readHealth(got answer) (healthDocument, error) {
	fields, err := documentOf(got)
	if err != nil {
		return healthDocument{}, err
	}
	doc := healthDocument{uptime: -1}
	if doc.status, err = fields.text("status"); err != nil {
		return doc, err
	}
	if strings.TrimSpace(doc.status) == "" {
		return doc, fmt.Errorf("field %q is empty", "status")
	}
	if doc.timestamp, err = fields.time("timestamp"); err != nil {
		return doc, err
	}
	if fields.has("version") {
		if doc.version, err = fields.text("version"); err != nil {
			return doc, err
		}
		if len(doc.version) > maxName {
			return doc, fmt.Errorf("field %q is longer than %d bytes", "version", maxName)
		}
	}
	if fields.has("uptime") {
		seconds, err := fields.number("uptime", 0, century.Seconds())
		if err != nil {
			return doc, err
		}
		doc.uptime = time.Duration(seconds * float64(time.Second))
	}
	if fields.has("checks") {
		doc.checks, err = readChecks(fields)
	}
	return doc, err
}

func readChecks(fields document) (map[string]string, error) {
	inner, err := fields.object("checks")
	if err != nil {
		return nil, err
	}
	if len(inner) > maxChecks {
		return nil, fmt.Errorf("field %q has more than %d entries", "checks", maxChecks)
	}
	checks := make(map[string]string, len(inner))
	for name, raw := range inner {
		if name == "" || len(name) > maxName {
			return nil, fmt.Errorf("field %q has a name that is empty or longer than %d bytes", "checks", maxName)
		}
		var word string
		if json.Unmarshal(raw, &word) != nil {
			word = "?" // not a word, so not one that is known
		}
		checks[name] = strings.ToLower(word)
	}
	return checks, nil
}

func (d healthDocument) skew(at time.Time) time.Duration { return at.Sub(d.timestamp).Abs() }

// dependencies leaves out checks whose word is not known: they are neither up nor down.
func (d healthDocument) dependencies(at time.Time) []*model.Sample {
	var samples []*model.Sample
	for _, name := range slices.Sorted(maps.Keys(d.checks)) {
		switch d.checks[name] {
		case "healthy":
			samples = append(samples, newSample(at, "watchdog_dependency_up", 1, "check", name))
		case "unhealthy", "degraded":
			samples = append(samples, newSample(at, "watchdog_dependency_up", 0, "check", name))
		}
	}
	return samples
}

// summary is one line: status and whatever is not healthy.
func (d healthDocument) summary() string {
	parts := []string{strutil.Cut(d.status, 40)}
	for _, name := range slices.Sorted(maps.Keys(d.checks)) {
		if word := d.checks[name]; word != "healthy" {
			parts = append(parts, strutil.Cut(name, 40)+" "+strutil.Cut(word, 40))
		}
	}
	return strings.Join(parts, ", ")
}

// starts counts the starts of processes that uptimes give away.
//
// Behind a Service each check may reach another pod, so an uptime that is lower
// than the last one proves nothing. A process that started after the newest
// start known, and after the first check, does.
type starts struct {
	mu     sync.Mutex
	newest time.Time
	count  float64
}

// startTolerance absorbs uptimes in whole seconds and the time an answer takes.
const startTolerance = 2 * time.Second

func (s *starts) seen(at time.Time, uptime time.Duration) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := at.Add(-uptime)
	switch {
	case s.newest.IsZero():
		s.newest = at
	case start.After(s.newest.Add(startTolerance)):
		s.newest = start
		s.count++
	}
	return s.count
}
