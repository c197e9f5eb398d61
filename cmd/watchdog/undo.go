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
		Short: "Revert a change of watchdog now, before its lease expires",
		Long: `Undo tells the leader to set back a change of watchdog that has a lease, such as
a scale. The word is kept in watchdog's ledger, so it survives restarts; the
change is set back only while the field still holds what watchdog wrote, and
watchdog does not make it again within guards.own_change.

A restart leaves nothing to take back. A rollback is taken back by deploying
again: watchdog never rolls back a rollback. It takes its own back only where
that cost ready pods or the endpoints of a Service.`,
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
	c.Flags().StringVar(&reason, "reason", "", "why; recorded with the incident")
	return c
}
