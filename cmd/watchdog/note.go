package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/responder"
)

func newNote() *cobra.Command {
	f, as := cluster{}, ""
	c := &cobra.Command{
		Use:   "note ID TEXT",
		Short: "Add a note to an incident's timeline",
		Long: `Note adds an entry to the timeline of an open incident and to its review. --as hypothesis
records a possible cause, --as decision what will be done; the phases of a response
require them (docs/response.md).

ID is a unique prefix of the incident's ID, or the name of a target for its newest
incident.`,
		Example: "  watchdog note 01m869s2 \"customers in Chile are not affected\"\n  watchdog note 01m869s2 --as " +
			"hypothesis \"the release of 14:02 dropped an index\"",
		Args: exactly(2, "one ID and one text"),
		RunE: func(c *cobra.Command, args []string) error {
			if as != "" && as != "hypothesis" && as != "decision" {
				return misused{fmt.Errorf("--as %q: use hypothesis or decision, or leave it out", as)}
			}
			return f.ask(c, responder.Request{Action: responder.Note, Incident: args[0], As: as, Reason: args[1]})
		},
	}
	f.register(c)
	c.Flags().StringVar(&as, "as", "", "hypothesis or decision")
	return c
}
