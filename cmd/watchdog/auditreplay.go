package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/decision"
)

func newAuditReplay() *cobra.Command {
	var keyFile, output string
	var anchors []string
	c := &cobra.Command{
		Use:   "replay [FOLDER|FILE]",
		Short: "Decide again what the record says was decided, and say what differs",
		Long: `Replay verifies the record as "audit verify" does. Then it gives the pure core of this
watchdog what each decision in the record was made from (the incident as it was, the event,
the policy) and holds the answer against the record: phase, op, effects, the state after it, the
lines of the timeline, the plan that was sent. It needs no cluster and changes nothing.

The guards' answers are part of the event: replay weighs them again and does not ask
the guards again, because what they look at holds pod templates, which are not recorded.

FILE is one file of the record, or an export.

Exit status: 0 all that can be replayed is the same, and the record as it was written; 1 it is not,
or cannot be read; 2 wrong usage.`,
		Args: oneFolder,
		RunE: func(c *cobra.Command, args []string) error {
			dir := folder(args)
			v, err := verifyRecord(dir, keyFile, anchors, output)
			if err != nil {
				return err
			}
			var p decision.Replay
			if err := readRecords(dir, func(r audit.Record) error { p.Add(r); return nil }); err != nil {
				return err
			}
			if output == "json" {
				err = printJSON(c.OutOrStdout(), struct {
					Verified audit.Report    `json:"verified"`
					Replayed decision.Report `json:"replayed"`
				}{v, p.Report})
			} else {
				err = printReplay(c, dir, v, p.Report)
			}
			if err != nil {
				return err
			}
			if n := len(p.Differences); n > 0 {
				return errors.Join(faulty(dir, v), fmt.Errorf("replay of the audit record in %s: %d %s; either somebody with its key changed the record, or another version wrote it: replay it with the image of that time",
					dir, n, plural(n, "difference", "differences")))
			}
			return faulty(dir, v)
		},
	}
	verifyFlags(c, &keyFile, &anchors, &output)
	return c
}

// printReplay is what a person reads of a replay.
func printReplay(c *cobra.Command, dir string, v audit.Report, r decision.Report) error {
	printReport(c.OutOrStdout(), dir, v)
	for _, d := range r.Differences {
		if _, err := fmt.Fprintln(c.OutOrStdout(), plainWord(d.String())); err != nil {
			return err
		}
	}
	for _, line := range r.Summary() {
		if _, err := fmt.Fprintln(c.OutOrStdout(), plainWord(line)); err != nil {
			return err
		}
	}
	return nil
}
