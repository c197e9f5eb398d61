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
		v.fail(a.key("urls"), "%d URLs; give those of the Alertmanager's peers, 1 to %d: http://alertmanager:9093", n, maxPeers)
	}
	for i, u := range s.URLs {
		v.url(a.key("urls").key(i), u, "use username with password_file", "bearer_token_file")
		if slices.Contains(s.URLs[:i], u) {
			v.fail(a.key("urls").key(i), "%s is there twice", u)
		}
	}
	if s.BearerTokenFile != "" && s.Username != "" {
		v.fail(a.key("username"), "bearer_token_file and username are two ways to say who asks; use one")
	}
	v.both(a, "username", s.Username, "password_file", s.PasswordFile)
	v.both(a, "cert_file", s.CertFile, "key_file", s.KeyFile)
	v.span(a.key("interval"), time.Duration(s.Interval), time.Second, 10*time.Minute)
	v.span(a.key("timeout"), time.Duration(s.Timeout), 100*time.Millisecond, time.Minute)
	v.span(a.key("keep"), time.Duration(s.Keep), time.Duration(s.Interval), 24*time.Hour)
	if s.SilencedAlerts != "observe" && s.SilencedAlerts != "remediate" {
		v.fail(a.key("silenced_alerts"), "unknown value %q; use observe or remediate", s.SilencedAlerts)
	}
}

// both asks that two options are given together.
func (v *validator) both(a at, one, x, other, y string) {
	if x != "" && y == "" {
		v.fail(a.key(one), "%s needs %s", one, other)
	}
	if x == "" && y != "" {
		v.fail(a.key(other), "%s needs %s", other, one)
	}
}
