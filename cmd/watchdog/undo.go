package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/responder"
)

func newUndo() *cobra.Command {
	f := cluster{}
	reason := ""
	c := &cobra.Command{
		Use:   "undo (INCIDENT | OP | NAMESPACE/DEPLOYMENT) --reason WHY",
		Short: "Revert a change by watchdog before its lease expires",
		Long: `Undo requests that the leader revert a change that has a lease, such as a scale. The
request is stored in the ledger and survives restarts. The change is reverted only if the
field still has the value that watchdog wrote; watchdog does not repeat the change within
guards.own_change.

A restart cannot be undone. To undo a rollback, deploy the release again: watchdog never
rolls back a rollback. It reverts its own rollback only if that cost ready pods or the
endpoints of a Service.`,
		Example: "  watchdog undo shop/cart --reason \"the extra replicas overload the database\"",
		Args:    exactly(1, "an incident, an op, or NAMESPACE/DEPLOYMENT"),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return misused{errors.New("undo requires --reason")}
			}
			return f.ask(c, responder.Request{Action: responder.Undo, Incident: args[0], Reason: reason})
		},
	}
	f.register(c)
	c.Flags().StringVar(&reason, "reason", "", "reason; recorded with the incident")
	return c
}
