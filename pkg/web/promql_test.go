package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// empty is a source without samples; the differential test of test/promapi has one with.
func empty(t *testing.T) http.Handler {
	t.Helper()
	return Handler(Options{Gatherer: prometheus.NewRegistry(), PromQL: nothing(), Rules: func() []RuleGroup {
		return []RuleGroup{{Name: "g", File: "f", Rules: []Rule{
			{Name: "A", Type: "alerting", State: "firing",
				Alerts: []Alert{{State: "firing", Value: Value(1.5)}}}, {Name: "r", Type: "recording"},
		}}}
	}})
}

// nothing answers questions over no samples.
func nothing() *PromQL {
	p := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1000, Timeout: time.Second, Parser: p})
	none := storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil })
	return &PromQL{Engine: engine, Queryable: none, Parser: p, Now: time.Now}
}

func get(t *testing.T, h http.Handler, path string) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	var doc map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatalf("%s: %v: %.200s", path, err, w.Body)
	}
	return w.Code, doc
}

func TestABadQuestionIsAnsweredAsPrometheusDoes(t *testing.T) {
	h := empty(t)
	for path, want := range map[string]struct {
		status int
		kind   string
	}{
		"query?query=sum(":                                      {400, badData},
		"query?query=1&limit=-1":                                {400, badData},
		"query?query=1&lookback_delta=x":                        {400, badData},
		"query?query=1&time=99999999999999999999":               {400, badData},
		"query_range?query=1&start=0&end=1e9&step=1":            {400, badData},
		"query_range?query=1&start=0&end=10&step=1e30":          {400, badData},
		"query?query=" + strings.Repeat("(", 20000):             {400, badData},
		"series?match[]=" + url.QueryEscape(`{__name__=~".*"}`): {400, badData},
		"label/%ff/values":                                      {400, badData},
		"rules?type=other":                                      {400, badData},
		"query_range?query=1&start=NaN&end=10&step=1":           {400, badData},
		"query_range?query=vector(1)&start=0&end=5000&step=1":   {422, execFail},
	} {
		status, doc := get(t, h, "/api/v1/"+path)
		if status != want.status || doc["errorType"] != want.kind || doc["status"] != "error" || doc["error"] == "" {
			t.Errorf("%.60s: %d %v, want %d %s", path, status, doc, want.status, want.kind)
		}
	}
}

func TestAClientThatHasGoneStopsItsQuery(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	empty(t).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/query?query=1", nil))
	if w.Code != statusClientClosed || !strings.Contains(w.Body.String(), canceled) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAQueryMayBePosted(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/query",
		strings.NewReader(url.Values{"query": {"1+1"}, "time": {"5"}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	empty(t).ServeHTTP(w, r)
	if w.Code != http.StatusOK ||
		strings.TrimSpace(w.Body.String()) != `{"data":{"resultType":"scalar","result":[5,"2"]},"status":"success"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestRulesAndAlertsHavePrometheusShape(t *testing.T) {
	h := empty(t)
	for path, want := range map[string]string{
		"rules?type=alert":                     "[A]",
		"rules?type=record":                    "[r]",
		"rules?rule_name[]=r":                  "[r]",
		"rules?rule_group[]=other":             "[]",
		"rules?file[]=f":                       "[A r]",
		"rules?type=alert&exclude_alerts=true": "[A]",
	} {
		_, doc := get(t, h, "/api/v1/"+path)
		names := []string{}
		for _, g := range doc["data"].(map[string]any)["groups"].([]any) {
			for _, r := range g.(map[string]any)["rules"].([]any) {
				names = append(names, r.(map[string]any)["name"].(string))
			}
		}
		if fmt.Sprint(names) != want {
			t.Errorf("%s: %v, want %s", path, names, want)
		}
	}
	_, doc := get(t, h, "/api/v1/alerts")
	if a := doc["data"].(map[string]any)["alerts"].([]any); len(a) != 1 || a[0].(map[string]any)["value"] != "1.5e+00" {
		t.Errorf("alerts %v", a)
	}
}
