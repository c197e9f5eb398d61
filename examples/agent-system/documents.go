package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// checks are the health document's, as the runbook's section 2.1 has them.
type checks struct {
	Database     string `json:"database"`
	Redis        string `json:"redis"`
	Agents       string `json:"agents"`
	ExternalAPIs string `json:"external_apis"`
}

type healthDocument struct {
	Status    string `json:"status"`
	Timestamp string `json:"timestamp"`
	Version   string `json:"version"`
	Uptime    int    `json:"uptime"`
	Checks    checks `json:"checks"`
}

const (
	healthy   = "healthy"
	unhealthy = "unhealthy"
	degraded  = "degraded"
)

// degradedErrors is the share of recent requests that failed above which health
// says degraded.
const degradedErrors = 0.05

// fewestAgents is below what their check is unhealthy.
const fewestAgents = 2

// health answers 200 also when degraded: the trap that the runbook's curl -f
// walks into. It is unhealthy, with 503, when no check at all is well.
func (a *app) health(w http.ResponseWriter, _ *http.Request) {
	word := func(bad bool) string {
		if bad {
			return unhealthy
		}
		return healthy
	}
	now := time.Now()
	d := healthDocument{Status: healthy, Timestamp: stamp(now), Version: a.version,
		Uptime: int(now.Sub(a.started).Seconds()), Checks: checks{
			Database: word(a.has(faultDatabase)), Redis: word(a.has(faultRedis)),
			Agents: word(a.activeAgents() < fewestAgents), ExternalAPIs: word(a.has(faultExternal))}}
	status := http.StatusOK
	switch {
	case d.Checks == checks{unhealthy, unhealthy, unhealthy, unhealthy}:
		d.Status, status = unhealthy, http.StatusServiceUnavailable
	case d.Checks != checks{healthy, healthy, healthy, healthy} || a.sla.errorShare(now) > degradedErrors:
		d.Status = degraded
	}
	reply(w, status, d)
}

type agent struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	LastSeen string `json:"last_seen"`
}

type agentsDocument struct {
	Agents  []agent `json:"agents"`
	Active  int     `json:"active"`
	Desired int     `json:"desired"`
}

func (a *app) agentsStatus(w http.ResponseWriter, _ *http.Request) {
	d := agentsDocument{Agents: []agent{}, Active: a.activeAgents(), Desired: a.agents}
	for i := range a.agents {
		g := agent{ID: fmt.Sprintf("agent-%d", i+1), Status: healthy, LastSeen: stamp(time.Now())}
		if i >= d.Active {
			g.Status, g.LastSeen = "lost", stamp(a.started)
		}
		d.Agents = append(d.Agents, g)
	}
	reply(w, http.StatusOK, d)
}

type agentFigures struct {
	Active           int   `json:"active"`
	Desired          int   `json:"desired"`
	TasksCoordinated int64 `json:"tasks_coordinated"`
}

type metricsDocument struct {
	Version  string       `json:"version"`
	Agents   agentFigures `json:"agents"`
	Requests int          `json:"requests"` // in the window of /metrics/sla
	Waiting  int64        `json:"waiting"`
}

func (a *app) metrics(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, metricsDocument{
		Version: a.version, Agents: agentFigures{a.activeAgents(), a.agents, a.done.Load()},
		Requests: a.sla.document(time.Now()).Requests, Waiting: a.waiting.Load()})
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may be gone, and nobody else would want to know.
	_ = json.NewEncoder(w).Encode(v)
}
