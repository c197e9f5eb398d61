package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance"
)

func newStatus() *cobra.Command {
	f := cluster{}
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the leader, holds, maintenance windows, actions in progress and open incidents",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			client, store, err := f.store()
			if err != nil {
				return err
			}
			ctx, cancel := bounded(c)
			defer cancel()
			ledger, _, err := store.Ledger(ctx)
			if err != nil {
				return err
			}
			kept := brief
			if f.output == formatJSON {
				kept = func(i incident.Incident) incident.Incident { return i }
			}
			all, err := listed(ctx, store, kept)
			if err != nil {
				return err
			}
			leader, err := client.Leader(ctx, f.namespace)
			if err != nil {
				leader = "unknown: " + err.Error()
			}
			windows, _, err := known(ctx, store, "", time.Now())
			if err != nil {
				fmt.Fprintln(c.ErrOrStderr(), "cannot list maintenance windows:", err)
			}
			holds, err := client.Holds(ctx, time.Now())
			if err != nil {
				fmt.Fprintln(c.ErrOrStderr(), "cannot list all holds:", strings.ReplaceAll(err.Error(), "\n", "; "))
			}
			if f.output == formatJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"leader": leader, "ledger": ledger, "holds": holds,
					"incidents": all, "maintenance": windows})
			}
			return status(c.OutOrStdout(), leader, ledger, holds, all, time.Now(), windows...)
		},
	}
	f.register(c)
	f.registerOutput(c)
	return c
}

// brief is what the table shows of an incident: of thousands, no more than that is kept.
func brief(i incident.Incident) incident.Incident {
	if n := len(i.Timeline); n > 1 {
		i.Timeline = []incident.Entry{i.Timeline[n-1]}
	}
	if i.Target.Name != incident.Self {
		i.Alerts = nil
	}
	i.Attempts, i.Answers, i.Receipts = nil, nil, nil
	return i
}

// refused returns why the configuration was not loaded, and since when, as watchdog's
// own incident has it.
func refused(all []incident.Incident) (why string, since time.Time, is bool) {
	for _, i := range all {
		if i.Target.Name != incident.Self || i.Phase == incident.Resolved {
			continue
		}
		if a, ok := i.Alert(incident.ConfigRefused); ok && a.Firing {
			return a.Reason, a.ActiveAt, true
		}
	}
	return "", time.Time{}, false
}

// holdLine is one hold with its age and its end.
func holdLine(h kube.HeldObject, now time.Time) string {
	what := h.Namespace
	if h.Kind != "" {
		what = h.Namespace + "/" + h.Kind + "/" + h.Name
	}
	since, until := "set at an unknown time", "no end"
	if !h.Since.IsZero() {
		since = "set " + age(now.Sub(h.Since)) + " ago"
	}
	if !h.Until.IsZero() {
		until = "ends in " + age(h.Until.Sub(now))
	}
	return fmt.Sprintf("%s: %s, %s: %s", what, since, until, orDash(h.Reason))
}

func status(w io.Writer, leader string, l incident.Ledger, holds []kube.HeldObject, all []incident.Incident,
	now time.Time, windows ...window) error {
	if a, at, is := refused(all); is {
		fmt.Fprintf(w, "config      REFUSED %s ago: %s\n", age(now.Sub(at)), a)
	}
	fmt.Fprintf(w, "leader      %s\n", orDash(leader))
	hold := "not set"
	switch m := l.Held(now); {
	case m != nil && m.Until.IsZero():
		hold = fmt.Sprintf("SET %s by %s: %s", age(now.Sub(m.At))+" ago", orDash(m.By), m.Reason)
	case m != nil:
		hold = fmt.Sprintf("SET %s ago by %s, ends in %s: %s", age(now.Sub(m.At)), orDash(m.By), age(m.Until.Sub(now)),
			m.Reason)
	case l.Hold != nil:
		hold = fmt.Sprintf("not set (the last one ended %s ago)", age(now.Sub(l.Hold.Until)))
	}
	fmt.Fprintf(w, "kill switch %s\n", hold)
	for _, h := range holds {
		fmt.Fprintf(w, "hold        %s\n", holdLine(h, now))
	}
	for _, x := range windows {
		if x.Phase != maintenance.Ended {
			fmt.Fprintf(w, "maintenance %s: %s, %s to %s, %s: %s (%s)\n", x.Name, x.Phase, moment(x.From),
				moment(x.Until), cmp.Or(strings.Join(x.Targets, ", "), "all targets"),
				orDash(cmp.Or(x.Problem, x.Reason)), x.Effects)
		}
	}
	used := 0
	for _, s := range l.Spent {
		if now.Sub(s.At) < time.Hour {
			used++
		}
	}
	fmt.Fprintf(w, "ops         %d in flight, %d in the last hour\n", len(l.Ops), used)
	for _, op := range l.Ops {
		fmt.Fprintf(w, "            %s (since %s)\n", op.Plan.Summary, age(now.Sub(op.PlannedAt)))
	}
	for _, x := range l.Leases {
		fmt.Fprintf(w, "lease       %s: reverted in %s\n", x.Plan.Summary, age(x.ExpiresAt.Sub(now)))
	}
	for _, q := range l.Quarantines {
		if _, on := l.Quarantined(q.Target); on {
			fmt.Fprintf(w, "quarantine  %s: acted in %d incidents; no actions since %s ago\n", q.Target, q.Cycles,
				age(now.Sub(q.At)))
		}
	}
	open := all[:0:0]
	for _, i := range all {
		if i.Phase != incident.Resolved {
			open = append(open, i)
		}
		if r := i.Asked; r != nil {
			fmt.Fprintf(w, "approval    %s: `%s`, within %s\n", r.Plan.Summary, i.ApproveCommand(),
				age(r.Until.Sub(now)))
		}
	}
	fmt.Fprintf(w, "incidents   %d open, %d resolved\n\n", len(open), len(all)-len(open))
	return table(w, open, now)
}
