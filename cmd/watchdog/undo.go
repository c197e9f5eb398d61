package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
)

func newUndo() *cobra.Command {
	f := cluster{}
	reason := ""
	c := &cobra.Command{
		Use:   "undo (INCIDENT | OP | NAMESPACE/DEPLOYMENT) --reason WHY",
		Short: "Take back what watchdog changed, now instead of at the end of its lease",
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
				return misused{errors.New("undo needs --reason: the next person will ask")}
			}
			client, store, err := f.store()
			if err != nil {
				return err
			}
			ctx, cancel := bounded(c)
			defer cancel()
			ledger, _, err := store.Ledger(ctx)
			if err != nil {
				return err
			}
			ops, err := undoable(ledger, args[0])
			if err != nil {
				return err
			}
			by, err := client.WhoAmI(ctx)
			if err != nil {
				return fmt.Errorf("nothing was written: %w", err)
			}
			for _, op := range ops {
				if err := store.Undo(ctx, op.Op, reason, by); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: will be set back by the leader\n", op.Plan.Summary)
			}
			return nil
		},
	}
	f.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why; recorded with the incident")
	return c
}

// undoable returns the leases that the word means: those of an op or an incident
// by the beginning of its id, or of a workload.
func undoable(l incident.Ledger, word string) ([]incident.Lease, error) {
	var found []incident.Lease
	ids := map[string]bool{}
	for _, x := range l.Leases {
		t := x.Plan.Target
		lower := strings.ToLower(word)
		switch {
		case t.Namespace+"/"+t.Workload == word, t.Name == word:
			found = append(found, x)
			ids[""] = true
		case strings.HasPrefix(x.Op, lower), strings.HasPrefix(x.Incident, lower):
			found = append(found, x)
			ids[x.Incident] = true
		}
	}
	switch {
	case len(ids) > 1:
		return nil, fmt.Errorf("%d changes belong to something that begins with %q: give more of the id", len(found), word)
	case len(found) > 0:
		return found, nil
	}
	var standing []string
	for _, x := range l.Leases {
		standing = append(standing, fmt.Sprintf("%s (%s)", x.Op, x.Plan.Summary))
	}
	slices.Sort(standing)
	if len(standing) == 0 {
		return nil, fmt.Errorf("nothing of %q can be taken back: no change of watchdog has a lease now; after a restart nothing is left to undo, and a rollback is undone by deploying again", word)
	}
	return nil, fmt.Errorf("nothing of %q can be taken back; with a lease are: %s", word, strings.Join(standing, "; "))
}
