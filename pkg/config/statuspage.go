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
		v.fail(a.key("page_id"), "the page's id is required")
	}
	if s.Publish != "off" && s.Publish != "ask" && s.Publish != "auto" {
		v.fail(a.key("publish"), "unknown value %q; use off, ask or auto", s.Publish)
	}
	v.span(a.key("hold_down"), time.Duration(s.HoldDown), time.Second, 24*time.Hour)
	v.span(a.key("clear_after"), time.Duration(s.ClearAfter), time.Second, 24*time.Hour)
	v.span(a.key("spread"), time.Duration(s.Spread), time.Second, 24*time.Hour)
	seen := map[string]bool{}
	for i, x := range s.Components {
		here := a.key("components").key(i)
		switch {
		case x.Target == "" || x.ID == "":
			v.fail(here, "a component needs the target that it follows and its id on the page")
		case !slices.ContainsFunc(c.Targets, func(t Target) bool { return t.Name == x.Target }):
			v.fail(here.key("target"), "there is no target %q", x.Target)
		case seen[x.Target]:
			v.fail(here.key("target"), "target %q has a component already", x.Target)
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
			v.fail(here.key("state"), "unknown state %q; use %s", t.State, strings.Join(publicStates, ", "))
		case told[key]:
			v.fail(here, "there is a template for %s already", strings.TrimSpace(key))
		case t.Name == "" && t.Body == "" && !t.Automatic:
			v.fail(here, "a template has a name, a body, or is automatic")
		}
		told[key] = true
	}
}
