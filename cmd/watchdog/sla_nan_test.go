package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// TestALevelThatIsNoNumberIsNotMet_X15: nothing can be said of it, least of all that it was kept.
func TestALevelThatIsNoNumberIsNotMet_X15(t *testing.T) {
	url := prometheusOf(t, map[string]float64{
		`slo:events_bad:count1m{slo="errors"`: math.NaN(), `count_over_time(slo:events:count1m{slo="errors"`: 43200,
		`sum_over_time(slo:events:count1m{slo="errors"`:         math.NaN(),
		`slo:events_bad:count1m{slo="availability"`:             0,
		`count_over_time(slo:events:count1m{slo="availability"`: 1440,
		`sum_over_time(slo:events:count1m{slo="availability"`:   1440,
	})
	out, err := report(t, "--url", url)
	if err == nil || err.Error() != "1 of 2 objectives missed" ||
		!strings.Contains(out, "shop    errors        99.900%   not a number  30d     30d      not a number       NO") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = report(t, "--url", url, "-o", "json")
	var got struct {
		Objectives []struct {
			SLO  string   `json:"slo"`
			Good *float64 `json:"good"`
			Met  bool     `json:"met"`
		} `json:"objectives"`
	}
	if e := json.Unmarshal([]byte(out), &got); e != nil || err == nil {
		t.Fatalf("%v, %v\n%s", e, err, out)
	}
	for _, o := range got.Objectives {
		if (o.SLO == "errors") == o.Met || (o.SLO == "errors") != (o.Good == nil) {
			t.Errorf("%+v", o)
		}
	}
}
