package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

// publishing are the flags of `watchdog publish`.
type publishing struct {
	reason, until string
	holdFor       time.Duration
	release       bool
}

func newPublish() *cobra.Command {
	f, p := cluster{}, publishing{}
	c := &cobra.Command{
		Use:   "publish ID [--hold-for DURATION | --hold-until TIME | --release]",
		Short: "Let an incident be published on the status page, or hold the page as it is",
		Long: `Publish says yes to what watchdog proposes for the public status page (publish: ask).
What follows in the same incident is posted by itself. The texts are those of the
configuration; nothing of the incident is in them.

With --hold-until or --hold-for nothing about the incident changes on the page until
then, neither a post nor its end, whatever is measured; then the latest state is
told. --release ends a hold. ID may be a unique beginning of the id, or a target's
name for its newest incident.`,
		Example: "  watchdog publish 01m869s2\n  watchdog publish 01m869s2 --hold-for 2h --reason \"legal looks at the text\"\n  watchdog publish 01m869s2 --release",
		Args:    exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := p.check(); err != nil {
				return err
			}
			client, store, err := f.store()
			if err != nil {
				return err
			}
			ctx, cancel := bounded(c)
			defer cancel()
			all, err := list(ctx, store)
			if err != nil {
				return err
			}
			inc, err := responder.Pick(all, args[0])
			if err != nil {
				return err
			}
			ledger, _, err := store.Ledger(ctx)
			if err != nil {
				return err
			}
			word, err := p.word(inc, ledger.Public[inc.ID], time.Now())
			if err != nil {
				return err
			}
			if word.By, err = client.WhoAmI(ctx); err != nil {
				return fmt.Errorf("nothing was written: %w", err)
			}
			var gone []string
			for id, old := range ledger.Public {
				// One that is new may be about an incident that is newer than the list.
				if time.Since(old.At) > time.Hour && !slices.ContainsFunc(all, func(i incident.Incident) bool { return i.ID == id }) {
					gone = append(gone, id)
				}
			}
			if err := store.Publish(ctx, inc.ID, word, gone); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s %s: %s\n", inc.ID, inc.Title(), word)
			return nil
		},
	}
	f.register(c)
	c.Flags().StringVar(&p.reason, "reason", "", "why; shown with the incident, never to the public")
	c.Flags().StringVar(&p.until, "hold-until", "", "leave the page as it is until this time: "+momentHelp)
	c.Flags().DurationVar(&p.holdFor, "hold-for", 0, "leave the page as it is for so long")
	c.Flags().BoolVar(&p.release, "release", false, "end a hold")
	return c
}

// maxReason is what an incident takes over of one; words share an object with the ops in flight.
const maxReason = 1024

func (p publishing) check() error {
	n := 0
	for _, given := range []bool{p.until != "", p.holdFor != 0, p.release} {
		if given {
			n++
		}
	}
	switch {
	case n > 1:
		return misused{errors.New("--hold-until, --hold-for and --release exclude each other")}
	case len(p.reason) > maxReason:
		return misused{fmt.Errorf("--reason is longer than %d bytes", maxReason)}
	case p.holdFor < 0:
		return misused{fmt.Errorf("--hold-for %s lies in the past", p.holdFor)}
	case n == 1 && !p.release && strings.TrimSpace(p.reason) == "":
		return misused{errors.New("a hold needs --reason: the next person will ask")}
	}
	return nil
}

// word is what is to be written, after an earlier word: who once said yes to
// publishing has said so for the whole incident.
func (p publishing) word(inc incident.Incident, before incident.PublicWord, now time.Time) (incident.PublicWord, error) {
	// The last word counts, and by its time it is known: also after one by a clock that was ahead.
	w := incident.PublicWord{Attribution: incident.Attribution{Reason: p.reason, At: now.UTC().Truncate(time.Millisecond)}, Publish: before.Publish}
	for _, at := range []time.Time{before.At, inc.Public.At} {
		if !w.At.After(at) {
			w.At = at.Add(time.Millisecond)
		}
	}
	posted := inc.Receipts[incident.PublicReceiver].Ref != ""
	switch {
	case inc.Phase == incident.Resolved && !posted:
		return w, fmt.Errorf("incident %s is over and was never published: there is nothing to do on the status page", inc.ID)
	case p.release && !before.Held(now):
		return w, fmt.Errorf("nobody holds the status page for incident %s", inc.ID)
	case p.release:
		return w, nil
	case p.holdFor > 0:
		w.HoldUntil = now.Add(p.holdFor)
		return w, nil
	case p.until != "":
		until, err := parseTime(p.until, now)
		if err != nil {
			return w, misused{fmt.Errorf("--hold-until: %w", err)}
		}
		if !until.After(now) {
			return w, misused{fmt.Errorf("--hold-until %s lies in the past", p.until)}
		}
		w.HoldUntil = until
		return w, nil
	}
	w.Publish = true
	return w, nil
}
