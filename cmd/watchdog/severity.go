package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

// severities are those that there are, gravest first.
var severities = []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}

func newSeverity() *cobra.Command {
	f, reason := cluster{}, ""
	c := &cobra.Command{
		Use:   "severity ID (P0 | P1 | P2 | P3) --reason WHY",
		Short: "Change an incident's severity",
		Long: `Severity raises or lowers the severity of an open incident. watchdog itself only raises
it, when a more severe rule fires. Raising the severity can move the acknowledgement
deadline forward; lowering it does not extend the deadline. Rules that were already firing
do not raise a severity that a responder lowered.

ID is a unique prefix of the incident's ID, or the name of a target for its newest
incident.`,
		Example: "  watchdog severity 01m869s2 P3 --reason \"only the staging shop\"",
		Args:    exactly(2, "one ID and one severity"),
		RunE: func(c *cobra.Command, args []string) error {
			to := incident.Severity(strings.ToUpper(args[1]))
			switch {
			case !slices.Contains(severities, to):
				return misused{fmt.Errorf("invalid severity %q: use P0, P1, P2 or P3", args[1])}
			case strings.TrimSpace(reason) == "":
				return misused{errors.New("severity requires --reason")}
			}
			return f.ask(c, responder.Request{Action: responder.Grade, Incident: args[0], To: to, Reason: reason})
		},
	}
	f.register(c)
	c.Flags().StringVar(&reason, "reason", "", "reason; shown with the incident")
	return c
}
