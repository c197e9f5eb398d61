package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
)

func newApprove() *cobra.Command {
	f, plan, reason := cluster{}, "", ""
	c := &cobra.Command{
		Use:   "approve ID --plan HASH",
		Short: "Allow a plan that watchdog asks about (mode approve)",
		Long: `Approve allows one action, exactly as it was shown: --plan is the beginning of the
plan's hash, at least 6 characters. Without it the plan is shown, and nothing is
allowed. The word counts once, until the time that is shown; if the workload
changes before, watchdog asks again. Every guard is asked a last time before the
action, so an approved plan may still be held, and watchdog says why.

ID may be a unique beginning of the id, or a target's name for its newest incident.
Who may patch ledgers in watchdog's namespace may approve; the name that is
recorded is the one by which the API server knows you.`,
		Example: "  watchdog approve 01m869s2\n  watchdog approve 01m869s2 --plan 3f9a1c77d0e2 --reason \"the release of 14:02 did it\"",
		Args:    exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.word(c, args[0], func(w io.Writer, r incident.Request) (incident.Approval, error) {
				if plan == "" {
					showPlan(w, r)
					fmt.Fprintf(w, "\nto allow exactly this: watchdog approve %s --plan %.12s\n", args[0], r.Plan.Hash)
					return incident.Approval{}, nil
				}
				if len(plan) < 6 || !strings.HasPrefix(r.Plan.Hash, strings.ToLower(plan)) {
					return incident.Approval{}, fmt.Errorf("not approved: the plan is %.12s now, and not %q: %s", r.Plan.Hash, plan, r.Plan.Summary)
				}
				return incident.Approval{Plan: r.Plan.Hash, Mark: incident.Mark{Reason: reason}}, nil
			})
		},
	}
	f.register(c)
	c.Flags().StringVar(&plan, "plan", "", "beginning of the plan's hash, as it was shown")
	c.Flags().StringVar(&reason, "reason", "", "why; shown with the incident")
	return c
}

func newDeny() *cobra.Command {
	f, reason := cluster{}, ""
	c := &cobra.Command{
		Use:     "deny ID --reason WHY",
		Short:   "Forbid a plan that watchdog asks about (mode approve)",
		Long:    "Deny forbids the plan that an incident asks about. watchdog goes on with the ladder's next rung.",
		Example: "  watchdog deny 01m869s2 --reason \"the database is the cause\"",
		Args:    exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if reason == "" {
				return misused{errors.New("deny needs --reason: the next person will ask")}
			}
			return f.word(c, args[0], func(_ io.Writer, r incident.Request) (incident.Approval, error) {
				return incident.Approval{Plan: r.Plan.Hash, Denied: true, Mark: incident.Mark{Reason: reason}}, nil
			})
		},
	}
	f.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why; shown with the incident")
	return c
}

// word finds what an incident asks and writes a person's answer to it; one that
// names no plan is none.
func (f *cluster) word(c *cobra.Command, id string, answer func(io.Writer, incident.Request) (incident.Approval, error)) error {
	client, store, err := f.store()
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	all, err := list(ctx, store)
	if err != nil {
		return err
	}
	inc, err := pick(all, id)
	if err != nil {
		return err
	}
	ledger, _, err := store.Ledger(ctx)
	if err != nil {
		return err
	}
	r, err := requested(inc, ledger)
	if err != nil {
		return err
	}
	a, err := answer(c.OutOrStdout(), r)
	if err != nil || a.Plan == "" {
		return err
	}
	if a.By, err = client.WhoAmI(ctx); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	_, acked := ledger.Acked[inc.ID]
	if err := store.Approve(ctx, r.Op, inc.ID, a, acked, answered(all, ledger)); err != nil {
		return err
	}
	verb := "approved"
	if a.Denied {
		verb = "denied"
	}
	fmt.Fprintf(c.OutOrStdout(), "%s by %s: %s\nwhat comes of it: watchdog why %s\n", verb, a.By, r.Plan.Summary, inc.ID)
	return nil
}

// requested returns the request that still waits for an answer. A no may follow
// a yes; a yes does not follow a no.
func requested(inc incident.Incident, l incident.Ledger) (incident.Request, error) {
	r := inc.Asked
	if r == nil {
		return incident.Request{}, fmt.Errorf("incident %s (%s) asks for no approval; `watchdog why %s` says where it stands", inc.ID, inc.Phase, inc.ID)
	}
	if w, said := l.Approved[r.Op]; said && w.Denied {
		return incident.Request{}, fmt.Errorf("this was denied by %s at %s; watchdog does not ask for it again in this incident", w.By, w.At.Format("15:04:05 MST"))
	}
	return *r, nil
}

// answered are the words in the ledger that nobody waits for any more.
func answered(all []incident.Incident, l incident.Ledger) []string {
	var gone []string
	for op := range l.Approved {
		waits := func(i incident.Incident) bool {
			return i.Asked != nil && i.Asked.Op == op || i.Op != nil && i.Op.ID == op
		}
		if !slices.ContainsFunc(all, waits) && !slices.ContainsFunc(l.Ops, func(o incident.Op) bool { return o.ID == op }) {
			gone = append(gone, op)
		}
	}
	return gone
}

func showPlan(w io.Writer, r incident.Request) {
	p := r.Plan
	fmt.Fprintf(w, "%s\n\n", p.Summary)
	fmt.Fprintf(w, "object   %s %s/%s (uid %s)\n", p.Object.Resource, p.Object.Namespace, p.Object.Name, p.Object.UID)
	if len(p.Patch) > 0 {
		fmt.Fprintf(w, "patch    %s\n", p.Patch)
	}
	if len(p.Create) > 0 {
		fmt.Fprintf(w, "create   %s\n", p.Create)
	}
	if len(p.Inverse) > 0 {
		fmt.Fprintf(w, "undo     %s\n", p.Inverse)
	}
	if p.Lease > 0 {
		fmt.Fprintf(w, "lease    taken back after %s\n", p.Lease)
	}
	fmt.Fprintf(w, "disturbs %d pods at worst\nplan     %s\nuntil    %s\n", p.Price, p.Hash, r.Until.UTC().Format("2006-01-02 15:04:05 UTC"))
	if r.Why != "" {
		fmt.Fprintf(w, "now      %s\n", r.Why)
	}
}
