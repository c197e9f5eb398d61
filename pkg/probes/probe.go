package probes

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/strutil"
)

// Probe checks once. The samples carry metric name and labels but neither target
// nor probe label (the Scheduler adds them); they belong to the caller. An error
// means "could not check or could not be understood" and counts as Unknown.
// A Probe is safe for concurrent use and returns soon after ctx ends.
type Probe func(ctx context.Context, at time.Time) (Result, error)

// State is what one check, or several checks smoothed, say of a target.
type State uint8

// The states; the zero value is Unknown.
const (
	Unknown State = iota // could not check, or not understood
	OK
	Bad
)

// String returns unknown, ok or bad.
func (s State) String() string {
	switch s {
	case OK:
		return "ok"
	case Bad:
		return "bad"
	default:
		return "unknown"
	}
}

// MarshalText returns the same words as String.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the words that String returns.
func (s *State) UnmarshalText(text []byte) error {
	switch string(text) {
	case "unknown":
		*s = Unknown
	case "ok":
		*s = OK
	case "bad":
		*s = Bad
	default:
		return fmt.Errorf("invalid probe state %q; expected one of: ok, bad, unknown", text)
	}
	return nil
}

// Result is what one check saw.
type Result struct {
	State State
	// Detail is one line for people.
	Detail  string
	Samples []*model.Sample
	// Facts are things worth knowing that are no numbers: version, status_code.
	Facts map[string]string
	// Usage is what containers use, of a probe that knows.
	Usage []Usage
}

// newSample returns one sample; labels are name, value, name, value, …
func newSample(at time.Time, name string, value float64, labels ...string) *model.Sample {
	metric := make(model.Metric, 3+len(labels)/2) // room for the scheduler's two labels
	metric[model.MetricNameLabel] = model.LabelValue(name)
	for i := 0; i+1 < len(labels); i += 2 {
		metric[model.LabelName(labels[i])] = model.LabelValue(labels[i+1])
	}
	return &model.Sample{
		Metric:    metric,
		Value:     model.SampleValue(value),
		Timestamp: model.TimeFromUnixNano(at.UnixNano()),
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

const maxDetail = 300

// oneLine makes text from elsewhere fit for a log line and a chat message.
func oneLine(text string) string { return strutil.Cut(strutil.Line(text), maxDetail) }
