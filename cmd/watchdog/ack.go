package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
)

func newAck() *cobra.Command {
	f := cluster{}
	reason := ""
	c := &cobra.Command{
		Use:   "ack INCIDENT",
		Short: "Say that an incident is yours: nobody else is asked any more",
		Long: `Ack takes an incident on. Its deadline for an answer ends, and every receiver is
told who has it. The first word counts. watchdog goes on as before: to make it
keep its hands off, hold the workload.

The word is kept in watchdog's ledger, so it survives restarts.`,
		Example: "  watchdog ack 01m869s2 --reason \"looking at the database\"",
		Args:    exactly(1, "an incident, by the beginning of its id"),
		RunE: func(c *cobra.Command, args []string) error {
			_, store, err := f.store()
			if err != nil {
				return err
			}
			ctx, cancel := bounded(c)
			defer cancel()
			stored, err := store.Incidents(ctx)
			if err != nil {
				return err
			}
			all := make([]incident.Incident, len(stored))
			for k, s := range stored {
				all[k] = s.Incident
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

// acknowledgeable returns the one incident whose id begins with the word and that
// still needs somebody.
func acknowledgeable(all []incident.Incident, word string) (incident.Incident, error) {
	var found []incident.Incident
	for _, i := range all {
		if strings.HasPrefix(i.ID, strings.ToLower(word)) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0:
		return incident.Incident{}, fmt.Errorf("no incident begins with %q; `watchdog incidents` lists them", word)
	case len(found) > 1:
		return incident.Incident{}, fmt.Errorf("%d incidents begin with %q: give more of the id", len(found), word)
	case found[0].Phase == incident.Resolved:
		return incident.Incident{}, errors.New("incident " + found[0].ID + " is resolved: there is nothing to take on")
	}
	return found[0], nil
}
