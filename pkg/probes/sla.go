package probes

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
)

const (
	maxCount       = 1e15
	maxWindow      = 31 * 24 * time.Hour
	maxMillisecond = 3.6e6 // an hour
)

// NewSLA returns the probe for /metrics/sla, the application's own account of
// its service level. A document that can be read is OK: the numbers are judged
// by rules.
func NewSLA(conf config.SLAProbe, resolver *net.Resolver) (Probe, error) {
	client, err := newClient(conf.HTTPClient, "", resolver)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, at time.Time) (Result, error) {
		got, err := client.fetch(ctx)
		if err == nil {
			err = refuseStatus(client.what(), got)
		}
		if err != nil {
			return outcome(err)
		}
		doc, err := readSLA(got)
		if err == nil {
			err = doc.fresh(at)
		}
		if err != nil {
			return Result{}, fmt.Errorf("%s: %w", client.what(), err)
		}
		return Result{State: OK, Detail: doc.summary(), Samples: doc.samples(at)}, nil
	}, nil
}

// slaDocument is the document in base units: ratios and seconds. What had no
// traffic to speak of is nil.
type slaDocument struct {
	timestamp time.Time
	window    time.Duration
	requests  float64
	uptime    float64
	errors    *float64
	p50       *float64
	p95       *float64
	p99       *float64
}

func readSLA(got answer) (slaDocument, error) {
	fields, err := documentOf(got)
	if err != nil {
		return slaDocument{}, err
	}
	var doc slaDocument
	if doc.timestamp, err = fields.time("timestamp"); err != nil {
		return doc, err
	}
	window, err := fields.number("window_seconds", 1, maxWindow.Seconds())
	if err != nil {
		return doc, err
	}
	doc.window = time.Duration(window * float64(time.Second))
	if doc.requests, err = fields.number("requests", 0, maxCount); err != nil {
		return doc, err
	}
	if doc.uptime, err = fields.number("uptime_percent", 0, 100); err != nil {
		return doc, err
	}
	doc.uptime /= 100
	if doc.errors, err = fields.optional("error_rate_percent", 100, 100); err != nil {
		return doc, err
	}
	return doc, doc.readQuantiles(fields)
}

func (d *slaDocument) readQuantiles(fields document) error {
	if _, ok := fields["response_time_ms"]; !ok {
		return fmt.Errorf("field %q is missing", "response_time_ms")
	}
	if !fields.has("response_time_ms") {
		return nil
	}
	times, err := fields.object("response_time_ms")
	if err != nil {
		return err
	}
	previous := 0.0
	for _, quantile := range []struct {
		name string
		to   **float64
	}{{"p50", &d.p50}, {"p95", &d.p95}, {"p99", &d.p99}} {
		value, err := times.optional(quantile.name, maxMillisecond, 1000)
		if err != nil {
			return fmt.Errorf("field %q: %w", "response_time_ms", err)
		}
		if value != nil && *value < previous {
			return fmt.Errorf("field %q: %s is less than the lower quantile", "response_time_ms", quantile.name)
		}
		if value != nil {
			previous = *value
		}
		*quantile.to = value
	}
	return nil
}

// fresh refuses an account of another time. One that is made once per window
// may be a window old.
func (d slaDocument) fresh(at time.Time) error {
	limit := max(defaultMaxSkew, 2*d.window)
	if skew := at.Sub(d.timestamp).Abs(); skew > limit {
		return staleError(skew, limit)
	}
	return nil
}

func (d slaDocument) samples(at time.Time) []*model.Sample {
	samples := []*model.Sample{
		newSample(at, "watchdog_sla_uptime_ratio", d.uptime),
		newSample(at, "watchdog_sla_requests", d.requests),
		newSample(at, "watchdog_sla_window_seconds", d.window.Seconds()),
	}
	if d.errors != nil {
		samples = append(samples, newSample(at, "watchdog_sla_error_ratio", *d.errors))
	}
	for _, quantile := range []struct {
		label string
		value *float64
	}{{"0.5", d.p50}, {"0.95", d.p95}, {"0.99", d.p99}} {
		if quantile.value != nil {
			samples = append(samples,
				newSample(at, "watchdog_sla_response_time_seconds", *quantile.value, "quantile", quantile.label))
		}
	}
	return samples
}

func (d slaDocument) summary() string {
	line := fmt.Sprintf("%.0f requests in %s, uptime %.3f%%", d.requests, d.window, d.uptime*100)
	if d.errors != nil {
		line += fmt.Sprintf(", errors %.3f%%", *d.errors*100)
	}
	if d.p95 != nil {
		line += fmt.Sprintf(", p95 %.0fms", *d.p95*1000)
	}
	return line
}
