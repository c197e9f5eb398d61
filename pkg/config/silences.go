package config

import (
	"slices"
	"time"
)

// maxPeers bounds the peers of an Alertmanager: each is asked when a silence is made.
const maxPeers = 10

func (v *validator) silences(c *Config) {
	if c.Alertmanager == nil || c.Alertmanager.Silences == nil {
		return
	}
	a, s := at{"alertmanager", "silences"}, c.Alertmanager.Silences
	if n := len(s.URLs); n < 1 || n > maxPeers {
		v.fail(a.key("urls"), "invalid number of URLs: %d; list 1 to %d Alertmanager peers, for example "+
			"http://alertmanager:9093", n, maxPeers)
	}
	for i, u := range s.URLs {
		v.url(a.key("urls").key(i), u, "use username with password_file", "bearer_token_file")
		if slices.Contains(s.URLs[:i], u) {
			v.fail(a.key("urls").key(i), "duplicate URL %s", u)
		}
	}
	if s.BearerTokenFile != "" && s.Username != "" {
		v.fail(a.key("username"), "at most one of bearer_token_file and username must be set")
	}
	v.both(a, "username", s.Username, "password_file", s.PasswordFile)
	v.both(a, "cert_file", s.CertFile, "key_file", s.KeyFile)
	v.span(a.key("interval"), time.Duration(s.Interval), time.Second, 10*time.Minute)
	v.span(a.key("timeout"), time.Duration(s.Timeout), 100*time.Millisecond, time.Minute)
	v.span(a.key("keep"), time.Duration(s.Keep), time.Duration(s.Interval), 24*time.Hour)
	if s.SilencedAlerts != "observe" && s.SilencedAlerts != "remediate" {
		v.fail(a.key("silenced_alerts"), "unknown value %q; expected one of: observe, remediate", s.SilencedAlerts)
	}
}

// both asks that two options are given together.
func (v *validator) both(a at, one, x, other, y string) {
	if x != "" && y == "" {
		v.fail(a.key(one), "%s requires %s", one, other)
	}
	if x == "" && y != "" {
		v.fail(a.key(other), "%s requires %s", other, one)
	}
}
