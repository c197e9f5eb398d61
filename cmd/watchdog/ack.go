package main

import (
	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/responder"
)

func newAck() *cobra.Command {
	f, reason := cluster{}, ""
	c := &cobra.Command{
		Use:   "ack ID",
		Short: "Say that an incident is yours: nobody else is asked any more",
		Long: `Ack takes an incident on. Its deadline for an answer ends, and PagerDuty and Slack are
shown who has it. The first one counts. watchdog goes on as before: to make it
keep its hands off, hold the workload. ID may be a unique beginning of the id, or
a target's name for its newest incident.

It is kept on the incident itself, so it works while watchdog is down. It takes the
right to patch incidents in watchdog's namespace.`,
		Example: "  watchdog ack 01m869s2 --reason \"looking at the database\"",
		Args:    exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.ask(c, responder.Request{Action: responder.Ack, Incident: args[0], Reason: reason})
		},
	}
	f.register(c)
	c.Flags().StringVar(&reason, "reason", "", "what you are doing about it; shown with the incident")
	return c
}
