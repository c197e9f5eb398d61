package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

func newApprove() *cobra.Command {
	f, plan, reason := cluster{}, "", ""
	c := &cobra.Command{
		Use:   "approve ID [--plan HASH]",
		Short: "Approve a plan (mode approve)",
		Long: `Approve allows one plan, exactly as shown: --plan is a prefix of its hash, at least 6
characters. Without --plan, the command prints the plan and approves nothing. An approval
is valid for one action and expires at the time shown. If the workload changes before
that, watchdog asks again. All guards are checked again before the action; if one refuses,
watchdog reports the reason.

ID is a unique prefix of the incident's ID, or the name of a target for its newest
incident.

It requires the right to patch incidents in watchdog's namespace, as do ack, deny, note,
severity and publish; undo and hold --all require the right to patch ledgers. watchdog
records your user name as the API server knows it.`,
		Example: "  watchdog approve 01m869s2\n  watchdog approve 01m869s2 --plan 3f9a1c77d0e2 --reason \"the " +
			"release of 14:02 did it\"",
		Args: exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if plan == "" {
				return f.showPlan(c, args[0])
			}
			if len(plan) < responder.LeastOfPlan {
				return misused{fmt.Errorf("--plan %s: give at least %d characters of the hash", plan,
					responder.LeastOfPlan)}
			}
			if err := f.ask(c, responder.Request{Action: responder.Approve, Incident: args[0], Plan: plan,
				Reason: reason}); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "what comes of it: watchdog why %s\n", args[0])
			return err
		},
	}
	f.register(c)
	c.Flags().StringVar(&plan, "plan", "", "prefix of the plan's hash")
	c.Flags().StringVar(&reason, "reason", "", "reason; shown with the incident")
	return c
}

// showPlan prints what an incident asks, and allows nothing.
func (f *cluster) showPlan(c *cobra.Command, id string) error {
	_, store, err := f.store()
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	inc, err := findIncident(ctx, store, id)
	if err != nil {
		return err
	}
	words, err := store.ResponderActions(ctx, inc.ID)
	if err != nil {
		return err
	}
	r, err := responder.Pending(inc, words)
	if err != nil {
		return err
	}
	printPlan(c.OutOrStdout(), r)
	_, err = fmt.Fprintf(c.OutOrStdout(), "\nto allow exactly this: watchdog approve %s --plan %.12s\n", id,
		r.Plan.Hash)
	return err
}

func printPlan(w io.Writer, r incident.Request) {
	p := r.Plan
	fmt.Fprintf(w, "%s\n\n", p.Summary)
	fmt.Fprintf(w, "object   %s %s/%s (uid %s)\n", p.Object.Resource, p.Object.Namespace, p.Object.Name, p.Object.UID)
	if len(p.Patch) > 0 {
		fmt.Fprintf(w, "patch    %s\n", p.Patch)
	}
	if p.Revision != nil {
		fmt.Fprintf(w, "template that of revision %s (ReplicaSet %s, SHA-256 %.12s…)\n", p.After, p.Revision.UID,
			p.Revision.Sum)
		for _, c := range p.Changes {
			fmt.Fprintf(w, "changes  %s\n", c)
		}
	}
	if len(p.Create) > 0 {
		fmt.Fprintf(w, "create   %s\n", p.Create)
	}
	switch {
	case p.Back != nil:
		fmt.Fprintf(w, "undo     the template of revision %s (ReplicaSet %s)\n", p.Before, p.Back.UID)
	case len(p.Inverse) > 0:
		fmt.Fprintf(w, "undo     %s\n", p.Inverse)
	}
	if p.Lease > 0 {
		fmt.Fprintf(w, "lease    reverted after %s\n", p.Lease)
	}
	fmt.Fprintf(w, "disrupts at most %d pods\nplan     %s\nuntil    %s\n", p.Price, p.Hash,
		r.Until.UTC().Format("2006-01-02 15:04:05 UTC"))
	if r.Quorum > 1 {
		fmt.Fprintf(w, "needs    %d approvers other than the requester\n", r.Quorum)
	}
	if r.CoolOff > 0 {
		fmt.Fprintf(w, "cool-off %s after the last approval, in which anybody with the right can deny it\n", r.CoolOff)
	}
	if r.Why != "" {
		fmt.Fprintf(w, "now      %s\n", r.Why)
	}
}
