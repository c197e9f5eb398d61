package notify

import (
	"fmt"
	"maps"
	"slices"
	"text/template/parse"

	"watchdog.io/watchdog/pkg/config"
)

// Undefined says of each text of the configuration that calls a template which nobody
// defines where it stands and what it calls. Such a text loads, and fails when it is
// sent: watchdog's own words go out in its place.
func Undefined(c *config.Config) []string {
	shared := newAbout(c).shared
	var all []string
	look := func(where, text string) {
		if text == "" {
			return
		}
		for _, name := range undefined(text, shared) {
			all = append(all, fmt.Sprintf("%s calls the template %q, which is defined nowhere", where, name))
		}
	}
	pager := func(name string, p config.PagerDuty) {
		look("receivers "+name+": description", p.Description)
		for _, key := range slices.Sorted(maps.Keys(p.Details)) {
			look("receivers "+name+": details: "+key, p.Details[key])
		}
	}
	r := c.Receivers
	if r.PagerDuty != nil {
		pager(pagerDutyName, *r.PagerDuty)
	}
	for _, p := range r.Pagers {
		pager(p.Name, p.PagerDuty)
	}
	if r.Slack != nil {
		look("receivers slack: title", r.Slack.Title)
		look("receivers slack: text", r.Slack.Text)
	}
	for _, w := range r.Webhooks {
		look("receivers "+w.Name+": body", w.Body)
	}
	for _, e := range r.Emails {
		look("receivers "+e.Name+": subject", e.Subject)
		look("receivers "+e.Name+": html", e.HTML)
		look("receivers "+e.Name+": text", e.Text)
	}
	return all
}

// undefined are the names that a text calls, also by way of others, and nobody defines.
func undefined(text string, shared []string) []string {
	t, err := parseText(text, shared...)
	if err != nil {
		return nil // the configuration was refused for it
	}
	seen, missing := map[string]bool{}, map[string]bool{}
	var call func(name string)
	var walk func(n parse.Node)
	branch := func(b parse.BranchNode) {
		walk(b.List)
		if b.ElseList != nil {
			walk(b.ElseList)
		}
	}
	walk = func(n parse.Node) {
		switch n := n.(type) {
		case *parse.ListNode:
			for _, x := range n.Nodes {
				walk(x)
			}
		case *parse.IfNode:
			branch(n.BranchNode)
		case *parse.WithNode:
			branch(n.BranchNode)
		case *parse.RangeNode:
			branch(n.BranchNode)
		case *parse.TemplateNode:
			call(n.Name)
		}
	}
	call = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		one := t.Lookup(name)
		if one == nil || one.Tree == nil {
			missing[name] = true
			return
		}
		walk(one.Root)
	}
	call("body")
	return slices.Sorted(maps.Keys(missing))
}
