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
		Short: "Run unit tests for rules and policies",
		Long: `Test runs unit test files. promtool's files (input_series, alert_rule_test,
promql_expr_test) run unchanged. With the key config, a file can also state under
watchdog_test what watchdog must have done at a given time: incidents and their phase,
the answer of each guard and its reason, actions, pages. Time is virtual; test does not
contact a cluster or a server. docs/testing-policies.md describes the format.

Exit status: 0 all tests passed, 1 a test failed, 2 usage error.`,
		Example: `  watchdog test tests/*.yaml
  watchdog test --run 'release' --junit report.xml tests/shop.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misused{errors.New("test requires at least one FILE")}
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
				if err := writeFile(junit,
					func(w io.Writer) error { return policytest.WriteJUnit(w, all) }); err != nil {
					return err
				}
			}
			switch {
			case failed > 0:
				return fmt.Errorf("%d of %d files failed", failed, len(args))
			case only != nil && played == 0:
				return fmt.Errorf("no test matches --run %s", strings.Join(run, "|"))
			}
			return nil
		},
	}
	c.Flags().StringArrayVar(&run, "run", nil,
		"run only tests whose name matches this regular expression; can be repeated")
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
