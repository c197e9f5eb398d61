package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/internal/policytest"
)

func newTest() *cobra.Command {
	var run []string
	var junit string
	c := &cobra.Command{
		Use:   "test FILE...",
		Short: "Run unit tests of rules and of a policy",
		Long: `Test runs files of unit tests. promtool's files (input_series, alert_rule_test,
promql_expr_test) run as they are. With the key config they may also say, under
watchdog_test, what watchdog would have done by a given time: incidents and their
phase, what each guard said and why, actions, pages. Time is virtual; no cluster and
no server is asked. docs/testing-policies.md describes the format.

Exit status: 0 all as expected, 1 something was not, 2 wrong usage.`,
		Example: `  watchdog test tests/*.yaml
  watchdog test --run 'release' --junit report.xml tests/shop.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misused{errors.New("test needs at least one FILE")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var only *regexp.Regexp
			if len(run) > 0 {
				var err error
				if only, err = regexp.Compile(strings.Join(run, "|")); err != nil {
					return misused{fmt.Errorf("--run: %w", err)}
				}
			}
			var all []policytest.Result
			failed, played := 0, 0
			for _, path := range args {
				r := policytest.Run(c.Context(), path, only)
				all = append(all, r)
				played += len(r.Cases)
				if r.Failed() {
					failed++
				}
			}
			policytest.Print(c.OutOrStdout(), all)
			if junit != "" {
				if err := writeFile(junit, func(w io.Writer) error { return policytest.WriteJUnit(w, all) }); err != nil {
					return err
				}
			}
			switch {
			case failed > 0:
				return fmt.Errorf("%d of %d files failed", failed, len(args))
			case only != nil && played == 0:
				return fmt.Errorf("no test is called like --run %s", strings.Join(run, "|"))
			}
			return nil
		},
	}
	c.Flags().StringArrayVar(&run, "run", nil, "only tests whose name matches this regular expression; may be repeated")
	c.Flags().StringVar(&junit, "junit", "", "also write the results as JUnit XML to this file")
	return c
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
