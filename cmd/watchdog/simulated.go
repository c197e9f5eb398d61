package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"watchdog.io/watchdog/internal/sim"
	"watchdog.io/watchdog/pkg/incident"
)

func listFailures(w io.Writer, all []sim.Failure) {
	for _, f := range all {
		fmt.Fprintln(w, f.Name)
		wrap(w, "    ", f.About)
		wrap(w, "    ", "expected: "+f.Expect)
	}
}

func (s *simulation) print(w io.Writer, r tried) error {
	if s.output != formatTable {
		return encode(w, s.output, r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for k, o := range r.Outcomes {
		if k == 0 || o.Target != r.Outcomes[k-1].Target {
			t.Flush()
			fmt.Fprintf(w, "%s, target %s, mode %s\n\n", r.File, o.Target, r.Mode)
			fmt.Fprintln(t, "FAILURE\tRULE\tWHAT WATCHDOG DID\tPAGED\tEND\tVERDICT")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", o.Failure, fired(o), done(o), paged(o), ended(o), o.Verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, o := range r.Outcomes {
		if len(o.Story) > 0 {
			fmt.Fprintf(w, "\n%s: %s\n%s\n", o.Failure, o.About, strings.Join(o.Story, "\n"))
		}
	}
	r.why(w)
	r.summary(w)
	return nil
}

func fired(o sim.Outcome) string {
	if o.Rule == "" {
		return "-"
	}
	return fmt.Sprintf("%s, %s", o.Rule, o.FiredAfter)
}

func done(o sim.Outcome) string {
	var all []string
	for _, a := range o.Actions {
		text := fmt.Sprintf("%s, %s", a.What, a.After)
		if a.Verdict != "" {
			text += " (" + strings.Replace(string(a.Verdict), "unknown", "effect unknown", 1) + ")"
		}
		all = append(all, text)
	}
	if o.Would != "" {
		all = append(all, o.Would)
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, "; ")
}

func paged(o sim.Outcome) string {
	if !o.Paged {
		return "-"
	}
	return o.PagedAfter.String()
}

func ended(o sim.Outcome) string {
	switch {
	case o.Was == "well":
		return "was well"
	case o.Well:
		return "well, " + o.WellAfter.String()
	}
	return "still bad"
}

// why gives the reason of each page and of each thing not done, once.
func (r tried) why(w io.Writer) {
	said := map[string]string{}
	var order []string
	for _, o := range r.Outcomes {
		if o.Why == "" {
			continue
		}
		if said[o.Why] == "" {
			order = append(order, o.Why)
			said[o.Why] = o.Failure
			continue
		}
		said[o.Why] += "; " + o.Failure
	}
	if len(order) == 0 {
		return
	}
	fmt.Fprintln(w, "\nWhy watchdog stopped or paged")
	for _, text := range order {
		wrap(w, "  ", said[text]+":")
		wrap(w, "      ", text)
	}
}

func (r tried) summary(w io.Writer) {
	f := sim.Findings{Outcomes: r.Outcomes}
	cured, advised := 0, 0
	for _, o := range r.Outcomes {
		if o.Cured {
			cured++
		}
		if o.Would != "" {
			advised++
		}
	}
	fmt.Fprintf(w, "\n%d failures: %d correct (%d cured), %d needless, %d missed, %d harmful; %s, seed %d\n",
		len(r.Outcomes), f.Count(sim.Good), cured, f.Count(sim.Needless), f.Count(sim.Missed), f.Count(sim.Harmful),
		r.took.Round(100*time.Millisecond), r.Seed)
	hints := slices.Clone(r.Hints)
	if len(r.NotSimulated) > 0 {
		hints = append(hints, asks(r.NotSimulated))
	}
	if advised > 0 && !r.raised && r.Mode != incident.Auto {
		hints = append(hints, "use --mode auto to simulate with actions allowed")
	}
	if len(hints) == 0 {
		return
	}
	fmt.Fprintln(w)
	for _, h := range hints {
		wrap(w, "- ", h)
	}
}

// wrap prints text within a hundred columns, the first line after its mark.
func wrap(w io.Writer, mark, text string) {
	const width = 100
	line := mark
	for _, word := range strings.Fields(text) {
		if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width && strings.TrimSpace(line) != "" {
			fmt.Fprintln(w, strings.TrimRight(line, " "))
			line = strings.Repeat(" ", len(mark))
		}
		if !strings.HasSuffix(line, " ") {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(w, line)
}
