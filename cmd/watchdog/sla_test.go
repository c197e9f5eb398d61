package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// prometheusOf answers each query with the value of the first key that it
// contains, for target shop; with nothing if there is none.
func prometheusOf(t *testing.T, values map[string]float64) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result := []any{}
		for key, v := range values {
			if strings.Contains(r.FormValue("query"), key) {
				result = append(result, map[string]any{"metric": map[string]string{"target": "shop"},
					"value": []any{json.Number(r.FormValue("time")), fmt.Sprint(v)}})
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "success",
			"data": map[string]any{"resultType": "vector", "result": result}})
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func report(t *testing.T, args ...string) (string, error) {
	t.Helper()
	c := newSLA()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(append([]string{"report", "--config", "../../configs/slo.yaml"}, args...))
	c.SilenceUsage, c.SilenceErrors = true, true
	err := c.Execute()
	return out.String(), err
}

func TestTheReportSaysWhatIsLeftOfTheBudget(t *testing.T) {
	url := prometheusOf(t, map[string]float64{
		`slo:events_bad:count1m{slo="errors"`: 500, `count_over_time(slo:events:count1m{slo="errors"`: 43200,
		`sum_over_time(slo:events:count1m{slo="errors"`:         1_000_000,
		`slo:events_bad:count1m{slo="availability"`:             30,
		`count_over_time(slo:events:count1m{slo="availability"`: 1440,
		`sum_over_time(slo:events:count1m{slo="availability"`:   1440,
	})
	out, err := report(t, "--url", url)
	if err == nil || err.Error() != "1 of 2 objectives missed" {
		t.Errorf("error: %v", err)
	}
	for _, want := range []string{
		"shop    availability  99.950%   97.916%   30d     1d       -38.9% (-8.4 min)  NO",
		"shop    errors        99.900%   99.950%   30d     30d      50.0% (21.6 min)   yes",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
}

func TestAReportWithoutSamplesSaysSo(t *testing.T) {
	if _, err := report(t, "--url", prometheusOf(t, nil)); err == nil ||
		!strings.Contains(err.Error(), "no samples for any objective") {
		t.Errorf("error: %v", err)
	}
	if _, err := report(t); err == nil || !strings.Contains(err.Error(), "--url is required") {
		t.Errorf("error: %v", err)
	}
	if _, err := report(t, "--url", "http://127.0.0.1:1", "--timeout", time.Second.String()); err == nil ||
		!strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error: %v", err)
	}
}
