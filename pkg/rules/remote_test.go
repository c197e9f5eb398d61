package rules

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
)

// prometheusOver serves the query API from a local QueryFunc.
func prometheusOver(t testing.TB, q promql.QueryFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sec, _ := strconv.ParseFloat(r.FormValue("time"), 64)
		points, err := q(r.Context(), r.FormValue("query"), time.UnixMilli(int64(math.Round(sec*1000))))
		if err != nil {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_ = json.NewEncoder(w).Encode(map[string]any{"status": "error", "errorType": "execution",
				"error": err.Error()})
			return
		}
		result := []any{}
		for _, p := range points {
			m := map[string]string{}
			p.Labels.Range(func(l labels.Label) { m[l.Name] = l.Value })
			result = append(result, map[string]any{"metric": m,
				"value": []any{sec, strconv.FormatFloat(p.Value, 'g', -1, 64)}})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "success",
			"data": map[string]any{"resultType": "vector", "result": result}})
	}))
	t.Cleanup(srv.Close)
	return srv
}

func remoteOf(t testing.TB, opts promql.RemoteOptions) promql.QueryFunc {
	t.Helper()
	q, err := promql.NewRemote(opts)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// canned answers every request with the same bytes.
type canned []byte

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Request: r, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(string(c)))}, nil
}

// INV-15: no answer makes the evaluation fail otherwise than with a verdict, and
// none but a finite number of this moment is judged.
func FuzzRemoteResponse(f *testing.F) {
	ok := fmt.Sprintf(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"target":"a"},`+
		`"value":[%d,"%%s"]}]}}`, start.Unix())
	for _, v := range []string{"1", "NaN", "+Inf", "-Inf", "x", ""} {
		f.Add([]byte(fmt.Sprintf(ok, v)))
	}
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"target":"a"},` +
		`"histogram":[1,{"count":"1","sum":"1","buckets":[]}]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"scalar","result":[1,"1"]},"warnings":["w"]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := latency()
		r.Source = Prometheus
		c, err := compile(r)
		if err != nil {
			t.Fatal(err)
		}
		ask, err := promql.NewRemote(promql.RemoteOptions{URL: "http://prometheus", Timeout: time.Second,
			Transport: canned(body)})
		if err != nil {
			t.Fatal(err)
		}
		seen, _ := c.observe(t.Context(), ask, c.index, start)
		s := Eval(&c.Threshold, State{}, seen[0], start)
		if !s.Verdict.Unknown() && !finite(s.Value) {
			t.Errorf("%s of %v", s.Verdict, s.Value)
		}
		if s.Verdict.Unknown() && s.State != Inactive {
			t.Errorf("%s made the alert %s", s.Verdict, s.State)
		}
	})
}
