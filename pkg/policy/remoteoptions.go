package policy

import (
	"time"

	promconfig "github.com/prometheus/common/config"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/promql"
)

// RemoteOptions are the options to query the configured server, for the daemon and all commands.
func RemoteOptions(p *config.Prometheus) promql.RemoteOptions {
	o := promql.RemoteOptions{URL: p.URL, Timeout: time.Duration(p.Timeout), BearerTokenFile: p.BearerTokenFile,
		CAFile: p.CAFile}
	if b := p.BasicAuth; b != nil {
		o.HTTP.BasicAuth = &promconfig.BasicAuth{Username: b.Username, UsernameFile: b.UsernameFile,
			PasswordFile: b.PasswordFile}
	}
	if a := p.Authorization; a != nil {
		o.HTTP.Authorization = &promconfig.Authorization{Type: a.Type, CredentialsFile: a.CredentialsFile}
	}
	if len(p.HTTPHeaders) > 0 {
		o.HTTP.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{}}
		for name, h := range p.HTTPHeaders {
			o.HTTP.HTTPHeaders.Headers[name] = promconfig.Header{Values: h.Values, Files: h.Files}
		}
	}
	if t := p.TLSConfig; t != nil {
		o.HTTP.TLSConfig = promconfig.TLSConfig{CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile,
			ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify}
	}
	return o
}
