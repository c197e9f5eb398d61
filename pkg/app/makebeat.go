package app

import (
	"fmt"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/selfwatch"
)

// makeBeat is where the configuration sends the heartbeat; nil: nowhere.
func makeBeat(h *config.Heartbeat) (*selfwatch.Beat, error) {
	if h == nil {
		return nil, nil
	}
	b := &selfwatch.Beat{URL: func() (string, error) { return h.URL, nil }, Method: h.Method,
		Interval: time.Duration(h.Interval), Timeout: time.Duration(h.Timeout)}
	if h.URLFile != "" {
		s, err := notify.NewSecret(h.URLFile)
		if err != nil {
			return nil, fmt.Errorf("heartbeat: %w", err)
		}
		b.URL = s.Reveal
	}
	return b, nil
}
