package kube

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

func newRequests() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "watchdog", Subsystem: "kube",
		Name: "requests_total", Help: "Requests sent to the API server, retries among them, by verb, resource and " +
			"HTTP status (error: none came)."}, []string{"verb", "resource", "code"})
}

// Requests counts the requests that this client sends.
func (c *Client) Requests() prometheus.Collector { return c.requests }

// count notes a request that was sent.
func (t transport) count(r *http.Request, answer *http.Response) {
	code := "error"
	if answer != nil {
		code = strconv.Itoa(answer.StatusCode)
	}
	verb, resource := requested(r)
	t.requests.WithLabelValues(verb, resource, code).Inc()
}

// requested tells verb and resource as RBAC has them: "list", "replicasets.apps". Names of
// objects and namespaces are not part of either, so that there are few.
func requested(r *http.Request) (verb, resource string) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	root := slices.IndexFunc(parts, func(p string) bool { return p == "api" || p == "apis" })
	if root < 0 {
		return "get", "other"
	}
	group, rest := "", parts[root+1:]
	if parts[root] == "apis" && len(rest) > 0 {
		group, rest = rest[0], rest[1:]
	}
	if len(rest) < 2 { // no more than a version: discovery
		return "get", "other"
	}
	rest = rest[1:]
	if len(rest) > 2 && rest[0] == "namespaces" {
		rest = rest[2:]
	}
	resource = rest[0]
	if group != "" {
		resource += "." + group
	}
	if len(rest) > 2 {
		resource += "/" + rest[2]
	}
	return verbOf(r, len(rest) > 1), resource
}

func verbOf(r *http.Request, named bool) string {
	switch r.Method {
	case http.MethodGet:
		switch watch := r.URL.Query().Get("watch"); {
		case watch == "true" || watch == "1":
			return "watch"
		case named:
			return "get"
		}
		return "list"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	}
	return strings.ToLower(r.Method)
}
