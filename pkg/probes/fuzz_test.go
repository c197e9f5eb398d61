package probes

import (
	"encoding/json"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// fuzzTime is the timestamp of the documents in the corpus.
func fuzzTime() time.Time { return time.Date(2023, 11, 20, 1, 30, 0, 0, time.UTC) }

func FuzzHealthDocument(f *testing.F) {
	f.Add([]byte(healthBody(fuzzTime())))
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := readHealth(answer{status: 200, body: body})
		if err != nil {
			checkText(t, err.Error())
			return
		}
		got := (&health{client: &client{method: "GET", url: nowhere()}, maxSkew: defaultMaxSkew,
			version: "2.2.0"}).judge(doc, fuzzTime())
		checkResult(t, body, got)
		if got.State == OK && !strings.Contains(strings.ToLower(string(body)), "healthy") &&
			!strings.Contains(string(body), `\u`) {
			t.Errorf("ok without the word: %s", body)
		}
	})
}

func FuzzSLADocument(f *testing.F) {
	f.Add([]byte(slaBody(fuzzTime())))
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := readSLA(answer{status: 200, body: body})
		if err != nil {
			checkText(t, err.Error())
			return
		}
		checkResult(t, body, Result{State: OK, Detail: doc.summary(), Samples: doc.samples(fuzzTime())})
	})
}

func FuzzAgentsDocument(f *testing.F) {
	f.Add([]byte(agentsBody))
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := readAgents(answer{status: 200, body: body})
		if err != nil {
			checkText(t, err.Error())
			return
		}
		checkResult(t, body, Result{State: OK, Samples: []*model.Sample{
			newSample(fuzzTime(), "watchdog_agents_active", doc.active), newSample(fuzzTime(),
				"watchdog_agents_desired", doc.desired),
		}})
	})
}

func checkResult(t *testing.T, body []byte, got Result) {
	t.Helper()
	if !json.Valid(body) {
		t.Errorf("understood what is not JSON: %q", body)
	}
	checkText(t, got.Detail)
	seen := map[string]bool{}
	for _, sample := range got.Samples {
		value := float64(sample.Value)
		if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
			t.Errorf("%s is %v", sample.Metric, value)
		}
		for _, label := range sample.Metric {
			if !label.IsValid() || len(label) > maxName {
				t.Errorf("label %q is no label value", label)
			}
		}
		if seen[sample.Metric.String()] {
			t.Errorf("%s is there twice", sample.Metric)
		}
		seen[sample.Metric.String()] = true
	}
}

func checkText(t *testing.T, text string) {
	t.Helper()
	text = oneLine(text)
	if len(text) > maxDetail || !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n") {
		t.Errorf("not one short line: %q", text)
	}
}

func nowhere() *url.URL { return &url.URL{Scheme: "http", Host: "nowhere"} }
