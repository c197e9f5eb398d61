package main

import (
	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/responder"
)

func newAck() *cobra.Command {
	f, reason := cluster{}, ""
	c := &cobra.Command{
		Use:   "ack ID",
		Short: "Acknowledge an incident",
		Long: `Ack acknowledges an incident: escalation stops, and PagerDuty and Slack show who has it.
The first acknowledgement counts; later ones are refused with the name of its owner.
watchdog continues its ladder. To stop it, use "watchdog hold".

ID is a unique prefix of the incident's ID, or the name of a target for its newest
incident.

Ack also works while watchdog is down. It requires the right to patch incidents in
watchdog's namespace.`,
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
