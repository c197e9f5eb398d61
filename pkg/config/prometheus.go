package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	promconfig "github.com/prometheus/common/config"
)

// prometheus checks how the server is asked. What identifies watchdog is given
// once: two Authorization headers would be one too many.
func (v *validator) prometheus(p *Prometheus) {
	a := at{"prometheus"}
	v.url(a.key("url"), p.URL, "use basic_auth", "authorization")
	given := 0
	for _, on := range []bool{p.BearerTokenFile != "", p.BasicAuth != nil, p.Authorization != nil} {
		if on {
			given++
		}
	}
	if given > 1 {
		v.fail(a, "at most one of bearer_token_file, basic_auth and authorization must be set")
	}
	if b := p.BasicAuth; b != nil {
		here := a.key("basic_auth")
		if (b.Username == "") == (b.UsernameFile == "") {
			v.fail(here, "exactly one of username and username_file must be set")
		}
		if b.PasswordFile == "" {
			v.fail(here.key("password_file"), "password_file is required")
		}
	}
	if x := p.Authorization; x != nil {
		here := a.key("authorization")
		if strings.EqualFold(x.Type, "basic") {
			v.fail(here.key("type"), "authorization type cannot be \"basic\"; use basic_auth")
		}
		if x.CredentialsFile == "" {
			v.fail(here.key("credentials_file"), "credentials_file is required: the credentials for type %q", x.Type)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.HTTPHeaders)) {
		v.header(a.key("http_headers").key(name), name, p.HTTPHeaders[name])
	}
	if t := p.TLSConfig; t != nil {
		here := a.key("tls_config")
		v.both(here, "cert_file", t.CertFile, "key_file", t.KeyFile)
		if t.CAFile != "" && p.CAFile != "" {
			v.fail(here.key("ca_file"), "ca_file is set twice; remove prometheus.ca_file")
		}
	}
}

// headerName is a token of RFC 9110, headerValue text on one line.
var (
	headerName  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	headerValue = regexp.MustCompile(`^[\t\x20-\x7e\x80-\x{10ffff}]*$`)
)

func (v *validator) header(a at, name string, h HTTPHeader) {
	check := promconfig.Headers{Headers: map[string]promconfig.Header{name: {}}}
	switch {
	case strings.EqualFold(name, "Authorization"):
		v.fail(a, "header Authorization cannot be set here; use basic_auth, authorization or bearer_token_file")
	case !headerName.MatchString(name):
		v.fail(a, "invalid header name %q", name)
	case check.Validate() != nil:
		v.fail(a, "header %s cannot be set: watchdog sets it", name)
	case len(h.Values)+len(h.Files) == 0:
		v.fail(a, "header has no value; set values or files")
	}
	for i, x := range h.Values {
		if !headerValue.MatchString(x) {
			v.fail(a.key("values").key(i), "invalid header value %q", x)
		}
	}
}
