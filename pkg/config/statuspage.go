package config

import (
	"slices"
	"strings"
	"time"
)

// publicStates as Statuspage names them.
var publicStates = []string{"investigating", "identified", "monitoring", "resolved"}

// statuspage checks what is the status page's own.
func (v *validator) statuspage(a at, s *Statuspage, c *Config) {
	if s.PageID == "" {
		v.fail(a.key("page_id"), "page_id is required")
	}
	if s.Publish != "off" && s.Publish != "ask" && s.Publish != "auto" {
		v.fail(a.key("publish"), "unknown value %q; expected one of: off, ask, auto", s.Publish)
	}
	v.span(a.key("pending_for"), time.Duration(s.PendingFor), time.Second, 24*time.Hour)
	v.span(a.key("clear_after"), time.Duration(s.ClearAfter), time.Second, 24*time.Hour)
	v.span(a.key("min_update_interval"), time.Duration(s.MinUpdateInterval), time.Second, 24*time.Hour)
	seen := map[string]bool{}
	for i, x := range s.Components {
		here := a.key("components").key(i)
		switch {
		case x.Target == "" || x.ID == "":
			v.fail(here, "target and id are required")
		case !slices.ContainsFunc(c.Targets, func(t Target) bool { return t.Name == x.Target }):
			v.fail(here.key("target"), "unknown target %q", x.Target)
		case seen[x.Target]:
			v.fail(here.key("target"), "duplicate component for target %q", x.Target)
		}
		seen[x.Target] = true
	}
	told := map[string]bool{}
	for i, t := range s.Templates {
		here := a.key("templates").key(i)
		if t.Severity != "" {
			v.severity(here.key("severity"), t.Severity)
		}
		key := string(t.Severity) + " " + t.State
		switch {
		case !slices.Contains(publicStates, t.State):
			v.fail(here.key("state"), "unknown state %q; expected one of: %s", t.State,
				strings.Join(publicStates, ", "))
		case told[key]:
			v.fail(here, "duplicate template for %s", strings.TrimSpace(key))
		case t.Name == "" && t.Body == "" && !t.Automatic:
			v.fail(here, "template is empty; set name, body or automatic")
		}
		told[key] = true
	}
}
