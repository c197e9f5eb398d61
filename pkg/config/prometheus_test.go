package config

import (
	"strings"
	"testing"
)

func TestHowPrometheusIsAsked_X60(t *testing.T) {
	for name, tc := range map[string]struct{ options, want string }{
		"basic auth":                          {"basic_auth: {username: a, password_file: /p}", ""},
		"basic auth, both in files":           {"basic_auth: {username_file: /u, password_file: /p}", ""},
		"a bearer token":                      {"authorization: {credentials_file: /t}", ""},
		"a tenant":                            {"http_headers: {X-Scope-OrgID: {values: [team-a]}}", ""},
		"a tenant from a file":                {"http_headers: {X-Scope-OrgID: {files: [/t]}}", ""},
		"a header with the name of an option": {"http_headers: {timeout: {values: ['0']}}", ""},
		"a client certificate": {"tls_config: {ca_file: /ca, cert_file: /c, key_file: /k, " +
			"server_name: x}", ""},
		"no user": {"basic_auth: {password_file: /p}",
			"exactly one of username and username_file"},
		"no password":            {"basic_auth: {username: a}", "password_file is required"},
		"a password in the file": {"basic_auth: {username: a, password: p}", "unknown field password"},
		"two ways to say who asks": {"basic_auth: {username: a, password_file: /p}, bearer_token_file: /t",
			"at most one of bearer_token_file, basic_auth and authorization"},
		"basic as a kind of authorization": {"authorization: {type: Basic, credentials_file: /t}",
			"use basic_auth"},
		"no credentials":                {"authorization: {type: Token}", "credentials_file is required"},
		"a key without its certificate": {"tls_config: {key_file: /k}", "key_file requires cert_file"},
		"two authorities":               {"ca_file: /ca, tls_config: {ca_file: /ca}", "ca_file is set twice"},
		"the header that is set already": {"http_headers: {authorization: {files: [/t]}}",
			"header Authorization cannot be set here; use basic_auth"},
		"a header that is not ours to set": {"http_headers: {host: {values: [x]}}",
			"header host cannot be set: watchdog sets it"},
		"a header without a value": {"http_headers: {X-Scope-OrgID: {}}", "no value"},
		"a header that would be two": {`http_headers: {X-Scope-OrgID: {values: ["a\nX: b"]}}`,
			"invalid header value"},
		"a name that is no header":             {`http_headers: {"X Y": {values: [a]}}`, "invalid header name"},
		"credentials in the URL, with the way": {"url: http://u:p@prometheus", "use basic_auth or authorization"},
	} {
		t.Run(name, func(t *testing.T) {
			text := "prometheus: {url: http://prometheus, " + tc.options + "}\ntargets: []\n"
			if strings.HasPrefix(tc.options, "url:") {
				text = "prometheus: {" + tc.options + "}\ntargets: []\n"
			}
			_, err := Parse("x.yaml", []byte(text))
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%v\nwant %q", err, tc.want)
			}
		})
	}
}

// An error names only options that exist at its place.
func TestAURLWithCredentialsNamesOptionsThatExist_X60(t *testing.T) {
	for place, tc := range map[string]struct{ text, want string }{
		"probe": {"targets: [{name: a, namespace: n, workload: deployment/a, probes: [{http: {url: " +
			"'http://u:p@x'}}]}]", "use bearer_token_file or headers"},
		"webhook": {"receivers: {webhooks: [{name: a, url: 'http://u:p@x'}]}", "use url_file or bearer_token_file"},
		"silences": {"alertmanager: {silences: {urls: ['http://u:p@x']}}",
			"use username with password_file or bearer_token_file"},
		"runbook": {"runbook: {url: 'http://u:p@x'}", "remove them"},
	} {
		t.Run(place, func(t *testing.T) {
			if _, err := Parse("x.yaml", []byte(tc.text+"\n")); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v\nwant %q", err, tc.want)
			}
		})
	}
}

// Helm hands an unquoted off on as false.
func TestFalseIsOff_X55(t *testing.T) {
	text := func(publish, remediate string) string {
		return "targets: []\ntime_intervals: [{name: nights, time_intervals: [{times: [{start_time: '01:00', " +
			"end_time: '05:00'}]}]}]\nmaintenance_windows: [{name: w, during: nights, remediate: " + remediate +
			"}]\nreceivers: {statuspage: {page_id: p, token_file: /t, component_id: c, publish: " + publish + "}}\n"
	}
	for _, off := range []string{"off", "false", "False", `"off"`} {
		c, err := Parse("x.yaml", []byte(text(off, off)))
		if err != nil {
			t.Errorf("%s: %v", off, err)
			continue
		}
		if c.Receivers.Statuspage.Publish != "off" || c.MaintenanceWindows[0].Remediate != "off" {
			t.Errorf("%s: publish %q, remediate %q", off, c.Receivers.Statuspage.Publish,
				c.MaintenanceWindows[0].Remediate)
		}
	}
	for _, bad := range []string{"true", `"false"`, "on", "0", "[off]"} {
		if _, err := Parse("x.yaml", []byte(text(bad, "off"))); err == nil ||
			!strings.Contains(err.Error(), "publish") {
			t.Errorf("publish: %s: %v", bad, err)
		}
		if _, err := Parse("x.yaml", []byte(text("off", bad))); err == nil ||
			!strings.Contains(err.Error(), "remediate") {
			t.Errorf("remediate: %s: %v", bad, err)
		}
	}
}
