package config

import (
	"regexp"
	"strings"
	"unicode"
)

// words checks how people's words come back from the receivers.
func (v *validator) words(a at, r Receivers) {
	if r.Slack != nil && r.Slack.Interaction != nil {
		here, i := a.key("slack").key("interaction"), r.Slack.Interaction
		if i.SigningSecretFile == "" && i.AppTokenFile == "" {
			v.fail(here, "signing_secret_file or app_token_file (Socket Mode) is required")
		}
		if len(i.Users) == 0 {
			v.fail(here.key("users"), "users is empty: every click would be refused")
		}
		v.persons(here.key("users"), i.Users)
	}
	if r.PagerDuty != nil && r.PagerDuty.Webhook != nil {
		here, w := a.key("pagerduty").key("webhook"), r.PagerDuty.Webhook
		if len(w.SecretFiles) == 0 {
			v.fail(here.key("secret_files"), "secret_files is required: the webhook subscription's secret")
		}
		for i, f := range w.SecretFiles {
			v.secret(here.key("secret_files").key(i), f)
		}
		if w.Acknowledge != "users" && w.Acknowledge != "anybody" {
			v.fail(here.key("acknowledge"), "unknown value %q; expected one of: users, anybody", w.Acknowledge)
		}
		v.persons(here.key("users"), w.Users)
	}
}

// Who may read: API.Read.
const (
	ReadAuthorized = "authorized"
	ReadAnybody    = "anybody"
)

// api checks for whom callers' tokens must have been made, and who may read.
func (v *validator) api(a *API) {
	if a == nil {
		return
	}
	for i, name := range a.Audiences {
		if name == "" || strings.ContainsFunc(name, unicode.IsSpace) {
			v.fail(at{"api", "audiences", i}, "invalid audience %q; use a name without spaces; the default is watchdog",
				name)
		}
	}
	if a.Read != ReadAuthorized && a.Read != ReadAnybody {
		v.fail(at{"api", "read"}, "unknown value %q; expected one of: authorized, anybody", a.Read)
	}
	for i, file := range a.ReadTokenFiles {
		v.secret(at{"api", "read_token_files", i}, file)
	}
	for i, name := range a.Hosts {
		if name == "" || strings.ContainsAny(name, "/:@ *") {
			v.fail(at{"api", "hosts", i}, "invalid host name %q; use the host of the URL, without port and path: "+
				"watchdog.example.com", name)
		}
	}
}

// personID is the shape of ids at Slack and PagerDuty. A name has another.
var personID = regexp.MustCompile(`^[A-Z0-9]{5,32}$`)

func (v *validator) persons(a at, all []Person) {
	ids := map[string]bool{}
	for i, p := range all {
		here := a.key(i)
		switch {
		case !personID.MatchString(p.ID):
			v.fail(here.key("id"), "invalid member ID %q; copy it from the user's profile (for example U0123ABCD); "+
				"display names are not unique", p.ID)
		case ids[p.ID]:
			v.fail(here.key("id"), "duplicate id %s", p.ID)
		}
		ids[p.ID] = true
		switch {
		case p.User == "" || len(p.User) > 253:
			v.fail(here.key("user"), "user is required: the user name in Kubernetes RBAC, for example "+
				"alice@example.com (at most 253 characters)")
		case strings.HasPrefix(p.User, "system:"):
			v.fail(here.key("user"), "invalid user %q: service accounts and system users cannot be responders", p.User)
		}
		for k, g := range p.Groups {
			if g == "" || strings.HasPrefix(g, "system:") {
				v.fail(here.key("groups").key(k),
					"invalid group %q: groups that start with \"system:\" are assigned by the API server", g)
			}
		}
	}
}
