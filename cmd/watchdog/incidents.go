package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/strutil"
)

func newIncidents() *cobra.Command {
	f := cluster{}
	open := false
	c := &cobra.Command{
		Use:   "incidents",
		Short: "List incidents, newest first",
		Long: `Incidents lists the stored incidents, newest first. More than 250 are read from the API server in pages and
printed as they arrive: then they are in the order of the API server, which is that of their IDs, oldest first.`,
		Example: "  watchdog incidents\n  watchdog incidents --open\n  watchdog incidents show 01m869s2",
		Args:    exactly(0, "no arguments; to show one incident, run watchdog incidents show ID"),
		RunE: func(c *cobra.Command, _ []string) error {
			_, store, err := f.store()
			if err != nil {
				return err
			}
			p := printer{out: c.OutOrStdout(), json: f.output == formatJSON}
			// Each page has its own timeout; all of them together take as long as who reads them.
			err = store.EachIncident(c.Context(), func(s incident.Stored) error {
				if open && s.Incident.Phase == incident.Resolved {
					return nil
				}
				return p.add(s.Incident)
			})
			if err != nil {
				return err
			}
			return p.end()
		},
	}
	f.register(c)
	f.registerOutput(c)
	c.Flags().BoolVar(&open, "open", false, "show open incidents only")
	c.AddCommand(newShow())
	return c
}

func newShow() *cobra.Command {
	f := cluster{}
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show an incident: alerts, actions and timeline",
		Long: `Show prints one incident. ID is a unique prefix of the incident's ID, or the name of a
target for its newest incident.`,
		Example: "  watchdog incidents show 01m869s2\n  watchdog incidents show shop -o json",
		Args:    exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			inc, err := f.incident(c, args[0])
			if err != nil {
				return err
			}
			if f.output == formatJSON {
				return printJSON(c.OutOrStdout(), inc)
			}
			story(c.OutOrStdout(), inc)
			return nil
		},
	}
	f.register(c)
	f.registerOutput(c)
	return c
}

func newWhy() *cobra.Command {
	f := cluster{}
	c := &cobra.Command{
		Use:   "why ID",
		Short: "Explain why watchdog did or did not act",
		Long: `Why prints the last plan of an incident and the answer of each guard, with its figures.
ID is a unique prefix of the incident's ID, or the name of a target for its newest
incident.`,
		Example: "  watchdog why 01m869s2",
		Args:    exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			_, store, err := f.store()
			if err != nil {
				return err
			}
			ctx, cancel := bounded(c)
			defer cancel()
			inc, err := findIncident(ctx, store, args[0])
			if err != nil {
				return err
			}
			if f.output == formatJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"incident": inc.ID, "phase": inc.Phase,
					"plan": inc.Considered, "answers": inc.Answers, "attempts": inc.Attempts,
					"pageReason": inc.PageReason})
			}
			var all []incident.Incident
			if frozenWith(inc) {
				if all, err = listed(ctx, store, brief); err != nil {
					return err
				}
			}
			return why(c.OutOrStdout(), inc, all...)
		},
	}
	f.register(c)
	f.registerOutput(c)
	return c
}

// What --output and --format take.
const (
	formatText  = "text"
	formatTable = "table"
	formatJSON  = "json"
)

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printed is how many incidents are printed at once: a page of the API server's.
const printed = 250

// printer prints incidents as they come: those of one page newest first, more in the order in which they come.
type printer struct {
	out     io.Writer
	json    bool
	page    []incident.Incident
	printed int
}

func (p *printer) add(i incident.Incident) error {
	if len(p.page) == printed {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.page = append(p.page, i)
	return nil
}

// end prints what is left.
func (p *printer) end() error {
	if p.printed > 0 {
		if err := p.flush(); err != nil || !p.json {
			return err
		}
		_, err := fmt.Fprintln(p.out, "\n]")
		return err
	}
	newestFirst(p.page)
	if p.json {
		return printJSON(p.out, append([]incident.Incident{}, p.page...))
	}
	return table(p.out, p.page, time.Now())
}

// flush prints a page of several.
func (p *printer) flush() error {
	page, first := p.page, p.printed == 0
	p.printed, p.page = p.printed+len(page), page[:0]
	if !p.json {
		return rows(p.out, page, first, time.Now())
	}
	for _, i := range page {
		before := ",\n  "
		if first {
			before, first = "[\n  ", false
		}
		b, err := json.MarshalIndent(i, "  ", "  ")
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(p.out, "%s%s", before, b); err != nil {
			return err
		}
	}
	return nil
}

func newestFirst(all []incident.Incident) {
	slices.SortStableFunc(all, func(a, b incident.Incident) int { return b.OpenedAt.Compare(a.OpenedAt) })
}

func table(w io.Writer, all []incident.Incident, now time.Time) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no incidents")
		return err
	}
	return rows(w, all, true, now)
}

// rows are the lines of a table, with or without its head.
func rows(w io.Writer, all []incident.Incident, head bool, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if head {
		fmt.Fprintln(t, "ID\tSEVERITY\tPHASE\tTARGET\tRULE\tAGE\tANSWER\tLAST")
	}
	for _, i := range all {
		last := ""
		if n := len(i.Timeline); n > 0 {
			last = strutil.Shorten(i.Timeline[n-1].Text, 70)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.ID, i.Severity, i.Phase, i.Target.Name, i.Lead,
			age(now.Sub(i.OpenedAt)), whose(i, now), last)
	}
	return t.Flush()
}

// whose says in a word who took an incident on, or how long that may still take.
func whose(i incident.Incident, now time.Time) string {
	switch {
	case !i.Acked.At.IsZero():
		return cmp.Or(i.Acked.By, "somebody")
	case i.Phase == incident.Resolved:
		return "-"
	case i.Unanswered > 0:
		return fmt.Sprintf("%d missed", i.Unanswered)
	case !i.AckBy.IsZero():
		return "due in " + age(i.AckBy.Sub(now))
	}
	return "-"
}

// because puts a reason behind what it is for.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// story prints an incident so that it explains itself.
func story(w io.Writer, i incident.Incident) {
	fmt.Fprintf(w, "%s  %s  %s\n%s\n\n", i.ID, i.Severity, i.Phase, i.Title())
	fmt.Fprintf(w, "target    %s (%s)\n", i.Target.Name, i.Target)
	fmt.Fprintf(w, "opened    %s\n", i.OpenedAt.UTC().Format(time.RFC3339))
	if !i.ResolvedAt.IsZero() {
		fmt.Fprintf(w, "resolved  %s, after %s\n", i.ResolvedAt.UTC().Format(time.RFC3339),
			age(i.ResolvedAt.Sub(i.OpenedAt)))
	}
	if i.Paged {
		fmt.Fprintf(w, "paged     %s\n", i.PageReason)
	}
	switch missed := fmt.Sprintf(" (%d missed)", i.Unanswered); {
	case !i.Acked.At.IsZero():
		fmt.Fprintf(w, "ack       acknowledged by %s at %s%s\n", cmp.Or(i.Acked.By, "somebody"),
			i.Acked.At.UTC().Format(time.RFC3339), because(i.Acked.Reason))
	case i.Phase == incident.Resolved:
	case !i.AckBy.IsZero():
		fmt.Fprintf(w, "ack       due by %s: `watchdog ack %s`%s\n", i.AckBy.UTC().Format(time.RFC3339), i.ID,
			strings.TrimPrefix(missed, " (0 missed)"))
	case i.Unanswered > 0:
		fmt.Fprintf(w, "ack       not acknowledged: `watchdog ack %s`%s\n", i.ID, missed)
	}
	if r := i.Asked; r != nil {
		fmt.Fprintf(w, "approval  %s, until %s: `%s`\n", r.Plan.Summary, r.Until.UTC().Format(time.RFC3339),
			i.ApproveCommand())
	}
	for _, a := range i.Alerts {
		state := "cleared"
		if a.Firing {
			state = "firing"
		}
		fmt.Fprintf(w, "rule      %s (%s, %s): %s\n", a.Rule, a.Severity, state, a.Reason)
	}
	for _, a := range i.Attempts {
		fmt.Fprintf(w, "action    %s: %s (%s)\n", a.Summary, a.Verdict, a.Reason)
	}
	for _, name := range slices.Sorted(maps.Keys(i.Receipts)) {
		r := i.Receipts[name]
		line := strings.TrimSpace(r.State + " " + r.Ref)
		if r.Error != "" {
			line += ": " + r.Error
		}
		fmt.Fprintf(w, "notified  %s: %s\n", name, line)
	}
	if p := i.PublicLine(time.Now()); p != "" {
		fmt.Fprintf(w, "public    %s\n", strings.TrimPrefix(p, "Status page: "))
	}
	fmt.Fprintln(w)
	for k, e := range i.Timeline {
		if k == 10 && i.Dropped > 0 {
			fmt.Fprintf(w, "          … %d entries are in the audit log only\n", i.Dropped)
		}
		fmt.Fprintf(w, "%s  %8s  %-11s %s\n", e.At.UTC().Format("15:04:05"), "+"+age(e.At.Sub(i.OpenedAt)), e.Kind,
			e.Text)
	}
}

// why explains an incident; all are those that are known, as what holds it may be told with another.
func why(w io.Writer, i incident.Incident, all ...incident.Incident) error {
	fmt.Fprintf(w, "%s  %s  %s\n\n", i.ID, i.Phase, i.Title())
	for _, a := range i.Attempts {
		fmt.Fprintf(w, "done: %s: %s (%s)\n", a.Summary, a.Verdict, a.Reason)
	}
	if m := i.Maintenance; m.Window != "" {
		fmt.Fprintln(w, m.Window)
	}
	for _, a := range i.Alerts {
		if a.Firing && a.Silenced != "" {
			fmt.Fprintf(w, "%s: %s\n", a.Rule, a.Silenced)
		}
	}
	if i.PageReason != "" {
		fmt.Fprintf(w, "paged: %s\n", i.PageReason)
	}
	if r := i.Asked; r != nil {
		fmt.Fprintf(w, "waiting for approval until %s: `%s`, or `watchdog deny %s --reason WHY`\n",
			r.Until.UTC().Format(time.RFC3339), i.ApproveCommand(), i.ID)
	}
	held := heldBy(i, all)
	if held != "" && len(i.Answers) > 0 {
		fmt.Fprintln(w, held)
	}
	if len(i.Answers) == 0 {
		_, err := fmt.Fprintln(w, cmp.Or(held, "no action has been considered yet"))
		return err
	}
	fmt.Fprintf(w, "last considered: %s\n\n", orDash(i.Considered))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GUARD\tANSWER\tREASON")
	for _, a := range i.Answers {
		answer := "pass"
		if a.Hold != "" {
			answer = string(a.Hold)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", a.Guard, answer, a.Reason)
	}
	return t.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// age is a span as kubectl shows it: the two largest units.
func age(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// frozenWith reports whether the incident waits for the end of a wider problem, which is an incident of its own.
func frozenWith(i incident.Incident) bool { return i.Phase == incident.Frozen && i.Shared }

// heldBy returns why watchdog considers no action for an incident if the cause is a wider
// problem, tracked in a separate incident; otherwise it returns "".
func heldBy(i incident.Incident, all []incident.Incident) string {
	if !frozenWith(i) {
		return ""
	}
	for _, o := range all {
		if o.Target.Name != incident.Self || o.Phase == incident.Resolved {
			continue
		}
		for _, rule := range []struct{ name, while string }{{"storm", "the storm lasts"},
			{"blind", "monitoring is blind"}} {
			if a, ok := o.Alert(rule.name); ok && a.Firing {
				return fmt.Sprintf("no action is considered while %s: %s (incident %s)", rule.while, a.Reason, o.ID)
			}
		}
	}
	return "no action is considered while a wider problem lasts; that problem has ended or is about to"
}
