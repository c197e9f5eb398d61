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
		Short: "Forbid a plan that watchdog asks about (mode approve)",
		Long: `Deny forbids the plan that an incident asks about, also after an approval, until the
write. watchdog goes on with the ladder's next rung. ID may be a unique beginning of
the id, or a target's name for its newest incident.`,
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
	c.Flags().StringVar(&plan, "plan", "", "beginning of the plan's hash; default: whatever is asked now")
	c.Flags().StringVar(&reason, "reason", "", "why; shown with the incident")
	return c
}
