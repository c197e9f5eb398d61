package backtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Comparison is what two policies would have done with the same history.
type Comparison struct {
	Old *Report `json:"old"`
	New *Report `json:"new"`
	// Differ are the numbers that differ.
	Differ []Difference `json:"differ"`
}

// Difference is one number of two reports.
type Difference struct {
	What string `json:"what"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Compare holds two reports against each other.
func Compare(old, new *Report) *Comparison {
	c := &Comparison{Old: old, New: new, Differ: []Difference{}}
	add := func(what string, a, b any) {
		if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y {
			c.Differ = append(c.Differ, Difference{what, x, y})
		}
	}
	add("mode", old.Mode, new.Mode)
	add("incidents", len(old.Incidents), len(new.Incidents))
	for _, s := range severities {
		add(fmt.Sprintf("pages %s", s), old.pagesOf(s), new.pagesOf(s))
	}
	actions, _ := reported()
	for _, a := range actions {
		add(string(a)+" done", old.count(a, false), new.count(a, false))
		add(string(a)+" left to people by a mode", old.count(a, true), new.count(a, true))
	}
	// A rule that only one of them has is a difference of its own.
	a, b := byRule(old), byRule(new)
	for _, name := range names(a, b) {
		x, inOld := a[name]
		y, inNew := b[name]
		switch {
		case !inOld:
			add("rule "+name, "-", fmt.Sprintf("%d firings", y.Firings))
		case !inNew:
			add("rule "+name, fmt.Sprintf("%d firings", x.Firings), "-")
		default:
			add("firings of "+name, x.Firings, y.Firings)
			add("time firing of "+name, x.Firing, y.Firing)
			add("time unknown of "+name, x.Unknown, y.Unknown)
		}
	}
	g, h := byGuard(old), byGuard(new)
	for _, name := range names(g, h) {
		add("plans held by "+name, g[name], h[name])
	}
	for k := range old.Budget {
		add("peak of budget "+old.Budget[k].Limit, fmt.Sprintf("%d of %d per %s", old.Budget[k].Peak, old.Budget[k].Of,
			old.Budget[k].Per), fmt.Sprintf("%d of %d per %s", new.Budget[k].Peak, new.Budget[k].Of, new.Budget[k].Per))
	}
	return c
}

func names[V any](a, b map[string]V) []string {
	all := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(all)
	return slices.Compact(all)
}

func byRule(r *Report) map[string]Rule {
	m := map[string]Rule{}
	for _, x := range r.Rules {
		m[x.Rule] = x
	}
	return m
}

func byGuard(r *Report) map[string]int {
	m := map[string]int{}
	for _, g := range r.Guards {
		if g.Hold != incident.Advise {
			m[g.Guard+" ("+string(g.Hold)+")"] += g.Count
		}
	}
	return m
}

// WriteJSON writes the comparison for machines.
func (c *Comparison) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(c)
}

// WriteText writes the comparison for a terminal.
func (c *Comparison) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "old %s\nnew %s\non %s, %s to %s (%s)\n\n", c.Old.Config, c.New.Config, c.New.Source,
		c.New.Begin.Format(time.RFC3339), c.New.End.Format(time.RFC3339), days(c.New.End.Sub(c.New.Begin)))
	if len(c.Differ) == 0 {
		_, err := fmt.Fprintln(w, "Nothing differs.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tOLD\tNEW")
	for _, d := range c.Differ {
		fmt.Fprintf(t, "%s\t%s\t%s\n", d.What, d.Old, d.New)
	}
	return t.Flush()
}
