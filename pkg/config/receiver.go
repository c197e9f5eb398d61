package config

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Receiver is one receiver that a file names.
type Receiver struct {
	Section string // its key below receivers
	Name    string // its own, or the section's where there is one of the kind
	Options ReceiverOptions

	place at
	many  bool // there may be several of the kind
}

// ReceiverOptions are the options of one receiver. Each kind is a field of Receivers: a
// pointer if there is one of it, a slice of structs with a Name if there may be several.
type ReceiverOptions interface {
	setDefaults()
	// check holds what is the kind's own; what all share is checked for all.
	check(v *validator, a at, c *Config)
	severities() []incident.Severity
	// fallback returns the receiver that this one stands in for, and whether the kind
	// can stand in for another, or be stood in for.
	fallback() (of string, can bool)
	// public reports whether the public reads it, and not people who could help.
	public() bool
}

// FallbackFor returns the receiver that this one stands in for; "": it is told of everything.
func (r Receiver) FallbackFor() string {
	other, _ := r.Options.fallback()
	return other
}

// Takes reports whether it is told of a severity before a person must act.
func (r Receiver) Takes(s incident.Severity) bool { return slices.Contains(r.Options.severities(), s) }

// Public reports whether the public reads it, and not people who could help.
func (r Receiver) Public() bool { return r.Options.public() }

// ReceiverSections returns the keys that there are below receivers, in their order in
// Receivers. pkg/notify/receivers has a row for each (receivers.Kinds).
func ReceiverSections() []string {
	var all []string
	for f := range reflect.TypeFor[Receivers]().Fields() {
		all = append(all, receiverSection(f))
	}
	return all
}

func receiverSection(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key
}

// All returns the receivers that are configured, in the order of their sections.
func (r Receivers) All() []Receiver {
	var all []Receiver
	v := reflect.ValueOf(r)
	for k := range v.NumField() {
		section := receiverSection(v.Type().Field(k))
		place := at{"receivers"}.key(section)
		if f := v.Field(k); f.Kind() == reflect.Slice {
			for i := range f.Len() {
				options, _ := f.Index(i).Addr().Interface().(ReceiverOptions) // TestEveryReceiverHasItsOptions
				all = append(all, Receiver{section, f.Index(i).FieldByName("Name").String(), options, place.key(i),
					true})
			}
		} else if !f.IsNil() {
			options, _ := f.Interface().(ReceiverOptions)
			all = append(all, Receiver{section, section, options, place, false})
		}
	}
	return all
}

// Names returns the names of all receivers.
func (r Receivers) Names() []string {
	var single, many []string
	for _, x := range r.All() {
		if x.many {
			many = append(many, x.Name)
		} else {
			single = append(single, x.Name)
		}
	}
	slices.Sort(single)
	return append(single, many...)
}

func (r Receivers) setDefaults() {
	for _, x := range r.All() {
		x.Options.setDefaults()
	}
}

func (v *validator) receivers(c *Config) {
	told, names, pages := map[incident.Severity]bool{}, map[string]bool{}, false
	for _, r := range c.Receivers.All() {
		if r.many {
			v.named(r.place, r.Name, names)
		}
		r.Options.check(v, r.place, c)
		v.severities(r.place.key("severities"), r.Options.severities())
		for _, s := range r.Options.severities() {
			told[s] = told[s] || r.FallbackFor() == "" && !r.Public()
		}
		_, pager := r.Options.(interface{ pages() })
		pages = pages || pager
	}
	v.words(at{"receivers"}, c.Receivers)
	v.fallbacks(c.Receivers)
	if !pages {
		v.unheard(c, told)
	}
}

// named checks the name of a receiver of which there may be several.
func (v *validator) named(here at, name string, names map[string]bool) {
	switch {
	case !nameShape.MatchString(name):
		v.fail(here.key("name"),
			"invalid receiver name %q: use lowercase letters, digits, \"-\" and \".\" (at most 63)", name)
	case reserved(name):
		v.fail(here.key("name"), "receiver name %q is reserved", name)
	case names[name]:
		v.fail(here.key("name"), "duplicate receiver %q", name)
	}
	names[name] = true
}

// reserved reports whether a name is that of a receiver that has a block of its own.
func reserved(name string) bool {
	for f := range reflect.TypeFor[Receivers]().Fields() {
		if f.Type.Kind() == reflect.Pointer && receiverSection(f) == name {
			return true
		}
	}
	return name == "email" || name == "canary"
}

var (
	urgent        = []incident.Severity{incident.P0, incident.P1}
	everySeverity = []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}
)

func orSeverities(v *[]incident.Severity, d []incident.Severity) {
	if *v == nil {
		*v = slices.Clone(d)
	}
}

func (p *PagerDuty) setDefaults() {
	orURL(&p.URL, "https://events.pagerduty.com")
	orSeverities(&p.Severities, urgent)
	if p.Webhook != nil && p.Webhook.Acknowledge == "" {
		p.Webhook.Acknowledge = "users"
	}
}

func (p *PagerDuty) check(v *validator, a at, _ *Config) {
	v.url(a.key("url"), p.URL)
	v.secret(a.key("routing_key_file"), p.RoutingKeyFile)
}

func (p *PagerDuty) severities() []incident.Severity { return p.Severities }

func (p *PagerDuty) fallback() (string, bool) { return "", true }

func (p *PagerDuty) public() bool { return false }

// pages marks what takes every severity once a person must act.
func (p *PagerDuty) pages() {}

func (p *Pager) setDefaults() {
	orURL(&p.URL, "https://events.pagerduty.com")
	orSeverities(&p.Severities, urgent)
}

func (p *Pager) check(v *validator, a at, c *Config) {
	p.PagerDuty.check(v, a, c)
	if p.Webhook != nil {
		v.fail(a.key("webhook"), "webhook cannot be set for an additional pager; set it on receivers.pagerduty, "+
			"which several services can share")
	}
}

// fallback: further services are told by the steps of an escalation.
func (p *Pager) fallback() (string, bool) { return "", false }

func (s *Slack) setDefaults() {
	orURL(&s.URL, "https://slack.com/api/")
	orSeverities(&s.Severities, everySeverity)
}

func (s *Slack) check(v *validator, a at, _ *Config) {
	v.url(a.key("url"), s.URL)
	v.secret(a.key("token_file"), s.TokenFile)
	if s.Channel == "" {
		v.fail(a.key("channel"), "channel is required, for example \"#incidents\"")
	}
}

func (s *Slack) severities() []incident.Severity { return s.Severities }

func (s *Slack) fallback() (string, bool) { return "", true }

func (s *Slack) public() bool { return false }

func (w *Webhook) setDefaults() { orSeverities(&w.Severities, everySeverity) }

func (w *Webhook) check(v *validator, a at, _ *Config) {
	switch {
	case w.URL == "" && w.URLFile == "" || w.URL != "" && w.URLFile != "":
		v.fail(a, "exactly one of url and url_file must be set")
	case w.URL != "":
		v.url(a.key("url"), w.URL, "use url_file", "bearer_token_file")
	}
	for h := range w.Headers {
		if strings.EqualFold(h, "Authorization") {
			v.fail(a.key("headers"), "header Authorization cannot be set here; use bearer_token_file or url_file")
		}
	}
}

func (w *Webhook) severities() []incident.Severity { return w.Severities }

func (w *Webhook) fallback() (string, bool) { return w.FallbackFor, true }

func (w *Webhook) public() bool { return false }

func (e *Email) setDefaults() {
	if e.TLS == "" {
		e.TLS = StartTLS
	}
	orSeverities(&e.Severities, everySeverity)
}

func (e *Email) severities() []incident.Severity { return e.Severities }

func (e *Email) fallback() (string, bool) { return e.FallbackFor, true }

func (e *Email) public() bool { return false }

func (s *Statuspage) setDefaults() {
	orURL(&s.URL, "https://api.statuspage.io")
	orDuration(&s.PendingFor, 30*time.Second)
	orDuration(&s.ClearAfter, 5*time.Minute)
	orDuration(&s.MinUpdateInterval, 5*time.Minute)
	for k := range s.Components {
		if s.Components[k].Name == "" {
			s.Components[k].Name = "the service"
		}
	}
	if s.Publish == "" {
		s.Publish = "off"
	}
	orSeverities(&s.Severities, urgent)
}

func (s *Statuspage) check(v *validator, a at, c *Config) {
	v.url(a.key("url"), s.URL)
	v.secret(a.key("token_file"), s.TokenFile)
	v.statuspage(a, s, c)
}

func (s *Statuspage) severities() []incident.Severity { return s.Severities }

func (s *Statuspage) fallback() (string, bool) { return "", false }

func (s *Statuspage) public() bool { return true }
