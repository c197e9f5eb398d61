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
		Use:   "replay [DIR|FILE]",
		Short: "Replay the recorded decisions and report differences",
		Long: `Replay verifies the audit log like "audit verify". Then it passes the recorded input of
each decision (the incident, the event, the policy) to the decision code of this version
and compares the result with the record: phase, op, effects, the new state, the timeline
entries and the plan that was sent. It needs no cluster and changes nothing.

The guards' answers are part of the recorded event. Replay evaluates them again but does
not run the guards again: they read pod templates, which are not recorded.

FILE is one file of the audit log, or an export.

Exit status: 0 the log is intact and all replayable decisions are the same, 1 they differ
or the log cannot be read, 2 usage error.`,
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
			if output == formatJSON {
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
				return errors.Join(faulty(dir, v),
					fmt.Errorf("replay audit log in %s: %d %s; either somebody with the key changed the log, or "+
						"another version wrote it: replay it with the image that wrote it",
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
