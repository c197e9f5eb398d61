package config

import (
	"strings"
	"time"
)

// ReviewDay is the day by which the runbook is to be looked through again, as its
// beginning in UTC. Zero: none is given.
func (c *Config) ReviewDay() time.Time {
	if c.Runbook == nil {
		return time.Time{}
	}
	t, err := time.Parse(time.DateOnly, c.Runbook.ReviewBy)
	if err != nil {
		return time.Time{} // refused when it was loaded
	}
	return t
}

// Limits of the quick reference: all of it goes onto a page.
const (
	maxContacts = 20
	maxLinks    = 20
)

func (v *validator) quickReference(c *Config) {
	if n := len(c.Contacts); n > maxContacts {
		v.fail(at{"contacts"}, "too many contacts: %d; the limit is %d", n, maxContacts)
	}
	for i, x := range c.Contacts {
		a := at{"contacts", i}
		if strings.TrimSpace(x.Name) == "" {
			v.fail(a.key("name"), "name is required: the person or the role")
		}
		if x.Phone == "" && x.Email == "" && x.Slack == "" {
			v.fail(a, "contact %q has no address: set phone, email or slack", x.Name)
		}
	}
	if n := len(c.Links); n > maxLinks {
		v.fail(at{"links"}, "too many links: %d; the limit is %d", n, maxLinks)
	}
	for i, l := range c.Links {
		a := at{"links", i}
		if strings.TrimSpace(l.Name) == "" {
			v.fail(a.key("name"), "name is required: what the link shows")
		}
		v.url(a.key("url"), l.URL)
	}
	if r := c.Runbook; r != nil {
		if r.URL != "" {
			v.url(at{"runbook", "url"}, r.URL)
		}
		if _, err := time.Parse(time.DateOnly, r.ReviewBy); r.ReviewBy != "" && err != nil {
			v.fail(at{"runbook", "review_by"}, "invalid date %q; use YYYY-MM-DD, for example 2026-12-19", r.ReviewBy)
		}
	}
}

// Line is the contact in one line: the name, and each way to reach it.
func (x Contact) Line() string {
	var ways []string
	for _, w := range []string{x.Phone, x.Email, x.Slack} {
		if w != "" {
			ways = append(ways, w)
		}
	}
	return x.Name + ": " + strings.Join(ways, ", ")
}

// Pages are the links, the runbook first.
func (c *Config) Pages() []Link {
	if c.Runbook == nil || c.Runbook.URL == "" {
		return c.Links
	}
	return append([]Link{{Name: "runbook", URL: c.Runbook.URL}}, c.Links...)
}
