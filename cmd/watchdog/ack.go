package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
)

func newAck() *cobra.Command {
	f := cluster{}
	reason := ""
	c := &cobra.Command{
		Use:   "ack ID",
		Short: "Say that an incident is yours: nobody else is asked any more",
		Long: `Ack takes an incident on. Its deadline for an answer ends, and PagerDuty and Slack are
told who has it. The first word counts. watchdog goes on as before: to make it
keep its hands off, hold the workload. ID may be a unique beginning of the id, or
a target's name for its newest incident.

The word is kept in watchdog's ledger, so it survives restarts.`,
		Example: "  watchdog ack 01m869s2 --reason \"looking at the database\"",
		Args:    exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			_, store, err := f.store()
			if err != nil {
				return err
			}
			ctx, cancel := bounded(c)
			defer cancel()
			all, err := list(ctx, store)
			if err != nil {
				return err
			}
			inc, err := acknowledgeable(all, args[0])
			if err != nil {
				return err
			}
			ledger, _, err := store.Ledger(ctx)
			if err != nil {
				return err
			}
			if m, ok := ledger.Acked[inc.ID]; ok {
				return fmt.Errorf("%s was acknowledged by %s %s", inc.ID, cmp.Or(m.By, "somebody"), m.At.Format("2006-01-02 15:04:05 MST"))
			}
			var gone []string
			for id := range ledger.Acked {
				if !slices.ContainsFunc(all, func(i incident.Incident) bool { return i.ID == id }) {
					gone = append(gone, id)
				}
			}
			if err := store.Ack(ctx, inc.ID, reason, whoami(), gone); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s %s: yours\n", inc.ID, inc.Title())
			return nil
		},
	}
	f.register(c)
	c.Flags().StringVar(&reason, "reason", "", "what you are doing about it; shown with the incident")
	return c
}

// acknowledgeable returns the incident that the word means, if it still needs somebody.
func acknowledgeable(all []incident.Incident, word string) (incident.Incident, error) {
	inc, err := pick(all, word)
	if err == nil && inc.Phase == incident.Resolved {
		err = fmt.Errorf("incident %s is resolved: there is nothing to take on", inc.ID)
	}
	return inc, err
}
