package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance"
)

// row is one line of the checklist of runbook 7.1.
type row struct{ Name, State, Why string }

// The states of a row. Not known is not met.
const (
	met      = "met"
	notMet   = "NOT MET"
	notKnown = "NOT KNOWN"
)

// How old the proofs of the checklist may be (runbook map, section 10).
const (
	backupAge   = 24 * time.Hour
	rollbackAge = 30 * 24 * time.Hour
)

// proofs are what the checklist is computed from beside the flags.
type proofs struct {
	now       time.Time
	incidents []incident.Incident
	// backups are the CronJobs that were named, as namespace/name, with what was found.
	backups []kube.CronSuccess
}

// checklist computes the rows of runbook 7.1.
func checklist(s maintenance.Spec, p proofs) []row {
	said := func(name, value, how string) row {
		if strings.TrimSpace(value) == "" {
			return row{name, notMet, how}
		}
		return row{name, met, value}
	}
	return []row{
		said("window communicated", s.Communicated, "use --communicated LINK: where the window was announced"),
		backedUp(p),
		rolledBack(s.Targets, p),
		said("team on standby", strings.Join(s.Standby, ", "), "use --standby NAME"),
	}
}

// backedUp looks at when each CronJob that was named last succeeded.
func backedUp(p proofs) row {
	r := row{"backup completed, at most 24h ago", met, ""}
	if len(p.backups) == 0 {
		return row{r.Name, notKnown, "use --backup NAMESPACE/CRONJOB: the CronJobs that make the backups"}
	}
	var all []string
	for _, b := range p.backups {
		age := p.now.Sub(b.At)
		switch {
		case b.At.IsZero():
			r.State = notMet
			all = append(all, b.Name+" has never succeeded")
		default:
			if age > backupAge || age < -time.Minute {
				r.State = notMet
			}
			all = append(all, fmt.Sprintf("%s succeeded %s ago", b.Name, age.Round(time.Minute)))
		}
	}
	r.Why = strings.Join(all, "; ")
	return r
}

// rolledBack looks in the incidents for a rollback of each target that was seen to
// help. Without targets, all are worked on, and one of any of them does.
func rolledBack(targets []string, p proofs) row {
	r := row{"rollback tested, at most 30d ago", met, ""}
	newest := func(of string) (at time.Time, id string) {
		for _, i := range p.incidents {
			for _, a := range i.Attempts {
				if (of == "" || i.Target.Name == of) && a.Action == incident.ActionRollback &&
					a.Verdict == incident.Helped && a.EndedAt.After(at) {
					at, id = a.EndedAt, i.ID
				}
			}
		}
		return at, id
	}
	of := slices.Clone(targets)
	if len(of) == 0 {
		of = []string{""}
	}
	var all []string
	for _, t := range of {
		name := t
		if name == "" {
			name = "any target"
		}
		at, id := newest(t)
		if at.IsZero() || p.now.Sub(at) > rollbackAge {
			r.State = notMet
			all = append(all, fmt.Sprintf("no successful rollback of %s in that time", name))
			continue
		}
		all = append(all, fmt.Sprintf("a rollback of %s helped on %s (incident %s)", name,
			at.UTC().Format(time.DateOnly), id))
	}
	r.Why = strings.Join(all, "; ")
	return r
}

// unmet are the rows that are not met, in words.
func unmet(rows []row) []string {
	var all []string
	for _, r := range rows {
		if r.State != met {
			all = append(all, r.Name+": "+strings.ToLower(r.State))
		}
	}
	return all
}

func printChecklist(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.Name, r.State, r.Why)
	}
	return t.Flush()
}
