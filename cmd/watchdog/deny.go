package main

import (
	"errors"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/responder"
)

func newDeny() *cobra.Command {
	f, plan, reason := cluster{}, "", ""
	c := &cobra.Command{
		Use:   "deny ID --reason WHY",
		Short: "Deny a plan (mode approve)",
		Long: `Deny rejects the plan that waits for approval. It also revokes an approval that has not
been used yet. watchdog continues with the next rung of the ladder.

ID is a unique prefix of the incident's ID, or the name of a target for its newest
incident.`,
		Example: "  watchdog deny 01m869s2 --reason \"the database is the cause\"",
		Args:    exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if reason == "" {
				return misused{errors.New("deny requires --reason")}
			}
			return f.ask(c, responder.Request{Action: responder.Deny, Incident: args[0], Plan: plan, Reason: reason})
		},
	}
	f.register(c)
	c.Flags().StringVar(&plan, "plan", "", "prefix of the plan's hash (default: the plan that waits for approval)")
	c.Flags().StringVar(&reason, "reason", "", "reason; shown with the incident")
	return c
}
