package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// What one question may cost, whoever asks: a subquery of nine million steps took the memory
// of the process (S02), and 6 KB of parentheses a processor for good (S10).
func TestAQuestionThatCostsTooMuchIsRefused_S02_S10(t *testing.T) {
	h := empty(t)
	for name, c := range map[string]struct{ path, query, says string }{
		"nine million steps": {"query?", "count_over_time(vector(1)[9000000s:1s])",
			"9000000 steps; the limit is 50000"},
		"the steps of a subquery in one": {"query?", "max_over_time(max_over_time(vector(1)[10s:1s])[9000000s:1s])",
			"steps; the limit is 50000"},
		"a subquery under a range query": {"query_range?start=0&end=1000000&step=1000&",
			"count_over_time(vector(1)[10s:1s])", "steps; the limit is 50000"},
		"steps that nobody wrote": {"query?", "count_over_time(vector(1)[300d:])",
			"steps; the limit is 50000"},
		"nested parentheses": {"query?", strings.Repeat("(", 3000) + "1" + strings.Repeat(")", 3000),
			"more than 100 levels deep"},
		"nested parentheses, to be written": {"format_query?", strings.Repeat("(", 3000) + "1" +
			strings.Repeat(")", 3000), "more than 100 levels deep"},
		"a long text": {"format_query?", strings.Repeat("1+", 10_000) + "1",
			"20001 bytes; the limit is 16384"},
	} {
		t.Run(name, func(t *testing.T) {
			code, doc := get(t, h, "/api/v1/"+c.path+"query="+url.QueryEscape(c.query))
			if code != http.StatusBadRequest || !strings.Contains(doc["error"].(string), c.says) {
				t.Errorf("%d: %v", code, doc["error"])
			}
		})
	}
	for name, query := range map[string]string{
		"ten minutes in minutes": "count_over_time(vector(1)[10m:1m])",
		"brackets side by side":  strings.Repeat("(1)+", 200) + "1",
	} {
		if code, doc := get(t, h, "/api/v1/query?query="+url.QueryEscape(query)); code != http.StatusOK {
			t.Errorf("%s: %d: %v", name, code, doc["error"])
		}
	}
}

func TestAFewQuestionsAreAnsweredAtOnce_S02(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stuck := storage.QueryableFunc(func(int64, int64) (storage.Querier, error) {
			<-release
			return storage.NoopQuerier(), nil
		})
		p := parser.NewParser(parser.Options{})
		h := Handler(Options{Gatherer: prometheus.NewRegistry(),
			PromQL: &PromQL{Engine: promql.NewEngine(promql.EngineOpts{MaxSamples: 1000, Timeout: time.Hour,
				Parser: p}), Queryable: stuck, Parser: p, Now: time.Now}})
		ask := func(ctx context.Context) int {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/query?query=up", nil))
			return w.Code
		}
		done := make(chan int, maxAsked)
		for range maxAsked {
			go func() { done <- ask(t.Context()) }()
		}
		synctest.Wait()
		began := time.Now()
		if code := ask(t.Context()); code != http.StatusServiceUnavailable || time.Since(began) != maxWait {
			t.Errorf("one question too many: %d after %s", code, time.Since(began))
		}
		gone, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began = time.Now()
		if code := ask(gone); code != statusClientClosed || time.Since(began) != time.Second {
			t.Errorf("a client that goes: %d after %s", code, time.Since(began))
		}
		close(release)
		for range maxAsked {
			if code := <-done; code != http.StatusOK {
				t.Errorf("a question that had its turn: %d", code)
			}
		}
		if code := ask(t.Context()); code != http.StatusOK {
			t.Errorf("afterwards: %d", code)
		}
	})
}
