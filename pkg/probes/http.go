package probes

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"watchdog.io/watchdog/pkg/config"
)

// NewHTTP returns the probe for a plain request, judged by status, time and what its
// body says.
func NewHTTP(conf config.HTTPProbe, resolver *net.Resolver) (Probe, error) {
	client, err := newClient(conf.HTTPClient, conf.Method, resolver)
	if err != nil {
		return nil, err
	}
	statuses, limit := slices.Clone(conf.Statuses), time.Duration(conf.MaxDuration)
	expected := slices.Clone(conf.JSON)
	for i := range expected {
		if _, _, err := expected[i].Parse(); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, _ time.Time) (Result, error) {
		got, err := client.fetch(ctx)
		if err == nil {
			err = judgeHTTP(client.what(), got, statuses, limit)
		}
		if err == nil {
			err = checkJSON(client.what(), got, expected)
		}
		result := Result{State: OK, Detail: fmt.Sprintf("status %s in %s", statusText(got.status),
			got.elapsed.Round(time.Millisecond))}
		if err != nil {
			result, err = outcome(err)
		}
		if got.status != 0 {
			result.Facts = map[string]string{"status_code": strconv.Itoa(got.status)}
		}
		return result, err
	}, nil
}

func judgeHTTP(what string, got answer, statuses []int, limit time.Duration) error {
	wanted := slices.Contains(statuses, got.status)
	if len(statuses) == 0 {
		wanted = got.status >= 200 && got.status < 300
	}
	switch {
	case !wanted && got.status >= 300 && got.status < 400:
		return redirected(what, got)
	case !wanted:
		return &badError{fmt.Sprintf("%s: status %s", what, statusText(got.status))}
	case limit > 0 && got.elapsed > limit:
		return &badError{fmt.Sprintf("%s: response took %s, limit %s", what, got.elapsed.Round(time.Millisecond),
			limit)}
	}
	return nil
}
