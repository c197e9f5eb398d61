package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/responder"
	"watchdog.io/watchdog/pkg/review"
	"watchdog.io/watchdog/pkg/review/overdue"
	"watchdog.io/watchdog/pkg/strutil"
)

// reviewed reads an incident and what is kept of its review. Notes from a file win
// over the kept ones. The version is for storing it again.
func reviewed(ctx context.Context, client *kube.Client, store *kube.Store, word, file string,
	notes review.Notes) (incident.Incident, review.Review, string, error) {
	fail := func(err error) (incident.Incident, review.Review, string, error) {
		return incident.Incident{}, review.Review{}, "", err
	}
	inc, err := findIncident(ctx, store, word)
	if err != nil {
		return fail(err)
	}
	text, version, err := store.Review(ctx, inc.ID)
	if err != nil {
		return fail(err)
	}
	kept, err := review.Decode(inc.ID, text)
	if err != nil {
		return fail(err)
	}
	if kept != nil && file == "" {
		notes = kept.Notes
	}
	v := review.Of(inc, notes, overdue.Due)
	if kept != nil && len(kept.Before) > 0 {
		v.Before = kept.Before
		return inc, v, version, nil
	}
	records, _, err := store.Records(ctx, inc.Target.Namespace)
	if err != nil {
		return fail(err)
	}
	images := map[string][]string{}
	if len(records[inc.Target.String()]) > 0 {
		// What cannot be read any more is left out: the record says enough without.
		if w, err := kube.NewReader(client).Workload(ctx, inc.Target, ""); err == nil {
			for _, r := range w.Revisions {
				images[r.UID] = r.Images
			}
		}
	}
	var revisions []review.Revision
	for _, r := range records[inc.Target.String()] {
		revisions = append(revisions, review.Revision{Number: r.Number, SeenAt: r.SeenAt, GoodAt: r.GoodAt,
			RolledBackAt: r.RolledBackAt, Images: images[r.UID]})
	}
	v.Remember(revisions)
	return inc, v, version, nil
}

func newReviewClose() *cobra.Command {
	f, file := cluster{}, ""
	c := &cobra.Command{
		Use:   "close ID",
		Short: "Store the findings and close the review",
		Long: `Close stores root cause, impact, lessons and action items in watchdog's namespace (the
ledger review-<incident>), where they outlive the incident. If required parts of the
review of a P0 or P1 are missing, close lists them and fails. Closing a review again
replaces what was stored.

Exit status: 0 closed, 1 incomplete or not stored, 2 usage error.`,
		Example: "  watchdog review close 01m869s2 --notes notes.yaml",
		Args:    exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if file == "" {
				return misused{errors.New("--notes is required: a YAML file with root_cause, impact, lessons and " +
					"action_items")}
			}
			notes, err := readNotes(file)
			if err != nil {
				return err
			}
			client, store, err := f.store()
			if err != nil {
				return err
			}
			ctx, cancel := bounded(c)
			defer cancel()
			inc, v, version, err := reviewed(ctx, client, store, args[0], file, notes)
			if err != nil {
				return err
			}
			by, err := client.WhoAmI(ctx)
			if err != nil {
				return fmt.Errorf("no change was made: %w", err)
			}
			kept, err := v.Close(by, time.Now().UTC().Truncate(time.Second))
			if err != nil {
				return err
			}
			if err := saveReview(ctx, store, inc.ID, kept, version); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s %s: review closed, %d action items\n", inc.ID, inc.Title(),
				len(kept.ActionItems))
			return nil
		},
	}
	f.register(c)
	c.Flags().StringVar(&file, "notes", "", "YAML file with root_cause, impact, lessons and action_items")
	return c
}

func saveReview(ctx context.Context, store *kube.Store, id string, k review.Kept, version string) error {
	text, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("encode review of incident %s: %w", id, err)
	}
	err = store.SaveReview(ctx, id, text, version)
	if errors.Is(err, incident.ErrConflict) {
		return fmt.Errorf("store review of incident %s: %w; retry", id, err)
	}
	return err
}

func newReviewDone() *cobra.Command {
	f := cluster{}
	c := &cobra.Command{
		Use:   "done ID N",
		Short: "Mark an action item of a review as done",
		Long: `Done marks action item N as done; "watchdog review list" shows the numbers. ID is a
unique prefix of the incident's ID.`,
		Example: "  watchdog review done 01m869s2 1",
		Args:    exactly(2, "an ID and the number of an action item"),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return misused{fmt.Errorf("invalid action item number %q", args[1])}
			}
			_, store, err := f.store()
			if err != nil {
				return err
			}
			ctx, cancel := bounded(c)
			defer cancel()
			id, kept, version, err := keptReview(ctx, store, args[0])
			if err != nil {
				return err
			}
			if err := kept.Tick(n); err != nil {
				return fmt.Errorf("review of %s: %w", id, err)
			}
			if err := saveReview(ctx, store, id, *kept, version); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %s: done\n", id, kept.ActionItems[n-1].What)
			return nil
		},
	}
	f.register(c)
	return c
}

// keptReview finds what is kept of a review, also of an incident that is deleted by now.
func keptReview(ctx context.Context, store *kube.Store, word string) (string, *review.Kept, string, error) {
	id := word
	switch inc, err := findIncident(ctx, store, word); {
	case err == nil:
		id = inc.ID
	case !errors.As(err, new(*responder.Refused)):
		return "", nil, "", err
	}
	text, version, err := store.Review(ctx, id)
	if err != nil {
		return "", nil, "", err
	}
	kept, err := review.Decode(id, text)
	if err == nil && kept == nil {
		err = fmt.Errorf("review of %s has no action items yet; close it first: watchdog review close %s --notes FILE",
			id, id)
	}
	return id, kept, version, err
}

func newReviewList() *cobra.Command {
	f := cluster{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List reviews and open action items",
		Long: `List shows each resolved P0 and P1, and every other incident with a review, overdue
reviews first. A review is due five working days after the incident was resolved. List
also shows the open action items. It requires the right to list ledgers.`,
		Args: exactly(0, "no arguments; to write one review, run watchdog review ID"),
		RunE: func(c *cobra.Command, _ []string) error {
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
			kept, err := store.Reviews(ctx)
			if err != nil {
				return err
			}
			lines, err := stand(all, kept, time.Now())
			if err != nil {
				return err
			}
			if f.output == formatJSON {
				return printJSON(c.OutOrStdout(), lines)
			}
			return showReviews(c.OutOrStdout(), lines)
		},
	}
	f.register(c)
	f.registerOutput(c)
	return c
}

// stand puts incidents and what is kept of reviews together.
func stand(all []incident.Incident, kept map[string]json.RawMessage, now time.Time) ([]review.Line, error) {
	lines := []review.Line{}
	add := func(id string, i *incident.Incident) error {
		k, err := review.Decode(id, kept[id])
		if err != nil {
			return err
		}
		if l, asked := review.Stand(id, i, k, overdue.Due, now); asked {
			lines = append(lines, l)
		}
		return nil
	}
	for k := range all {
		if err := add(all[k].ID, &all[k]); err != nil {
			return nil, err
		}
	}
	for id := range kept {
		if slices.ContainsFunc(all, func(i incident.Incident) bool { return i.ID == id }) {
			continue
		}
		if err := add(id, nil); err != nil {
			return nil, err
		}
	}
	review.Sort(lines)
	return lines, nil
}

func showReviews(w io.Writer, lines []review.Line) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "no reviews: no P0 or P1 has been resolved")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSEVERITY\tREVIEW\tDUE\tTO DO\tINCIDENT")
	for _, l := range lines {
		todo := "-"
		if n := len(l.Items); n > 0 {
			todo = fmt.Sprintf("%d, %d overdue", n, l.Late)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Severity, l.State, l.Due.UTC().Format(time.DateOnly), todo,
			strutil.Shorten(l.Title, 70))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, l := range lines {
		for _, x := range l.Items {
			late := ""
			if x.Overdue {
				late = ", overdue"
			}
			fmt.Fprintf(w, "%s %d: %s (%s, due %s%s)\n", l.ID, x.N, x.What, x.Owner, x.Due, late)
		}
	}
	return nil
}
