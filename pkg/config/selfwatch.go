package config

import "time"

func (c *Config) setSelfWatch() {
	orDuration(&c.Canary.Interval, 5*time.Minute)
	if h := c.Heartbeat; h != nil {
		orDuration(&h.Interval, time.Minute)
		orDuration(&h.Timeout, min(10*time.Second, time.Duration(h.Interval)))
		if h.Method == "" {
			h.Method = "GET"
		}
	}
}

func (v *validator) selfWatch(c *Config) {
	v.span(at{"canary", "interval"}, time.Duration(c.Canary.Interval), 10*time.Second, time.Hour)
	h, a := c.Heartbeat, at{"heartbeat"}
	if h == nil {
		return
	}
	switch {
	case (h.URL == "") == (h.URLFile == ""):
		v.fail(a, "exactly one of url and url_file must be set")
	case h.URL != "":
		v.url(a.key("url"), h.URL)
	}
	if h.Method != "GET" && h.Method != "POST" {
		v.fail(a.key("method"), "unsupported method %q; expected one of: GET, POST", h.Method)
	}
	v.span(a.key("interval"), time.Duration(h.Interval), 5*time.Second, time.Hour)
	v.span(a.key("timeout"), time.Duration(h.Timeout), 100*time.Millisecond, time.Duration(h.Interval))
}
