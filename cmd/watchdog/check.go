package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/app"
	"watchdog.io/watchdog/pkg/config"
)

func newCheck() *cobra.Command {
	output := "text"
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Validate configuration files",
		Long: `Check reads each file as "watchdog run" would, and builds everything that can be
built without a cluster: rules, probes, ladders. It prints every error with file,
line and what would be right. Files of secrets are not read.

Exit status: 0 all files are valid, 1 one is not, 2 wrong usage.`,
		Example: "  watchdog check watchdog.yaml\n  watchdog check -o json configs/*.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misused{errors.New("check takes at least one file")}
			}
			if output != "text" && output != "json" {
				return misused{fmt.Errorf("--output %q: use text or json", output)}
			}
			return check(c, args, output)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", output, "text or json")
	return c
}

// checked is one file's result in JSON.
type checked struct {
	File     string           `json:"file"`
	Valid    bool             `json:"valid"`
	Problems []config.Problem `json:"problems"`
	Warnings []config.Problem `json:"warnings"`
}

func check(c *cobra.Command, files []string, output string) error {
	bad := 0
	var results []checked
	for _, f := range files {
		r := checked{File: f, Problems: []config.Problem{}, Warnings: []config.Problem{}}
		cfg, err := config.Load(f)
		if err == nil {
			r.Warnings = append(r.Warnings, cfg.Warnings()...)
			err = app.Check(cfg)
		}
		var all config.Errors
		switch {
		case err == nil:
			r.Valid = true
		case errors.As(err, &all):
			r.Problems = append(r.Problems, all...)
		default:
			r.Problems = append(r.Problems, config.Problem{File: f, Message: err.Error()})
		}
		if !r.Valid {
			bad++
		}
		results = append(results, r)
		if output == "text" {
			show(c, r, cfg, all)
		}
	}
	if output == "json" {
		enc := json.NewEncoder(c.OutOrStdout())
		enc.SetIndent("", "  ")
		if err := enc.Encode(results); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d files invalid", bad, len(files))
	}
	return nil
}

func show(c *cobra.Command, r checked, cfg *config.Config, all config.Errors) {
	out := c.OutOrStdout()
	for _, w := range r.Warnings {
		fmt.Fprintf(out, "%s: warning\n", w)
	}
	switch {
	case r.Valid:
		fmt.Fprintf(out, "%s: valid: %d targets, %d rules, mode %s%s\n", r.File, len(cfg.Targets), len(cfg.Thresholds), cfg.Mode, more(cfg))
	case len(all) > 0:
		source, _ := os.ReadFile(r.File)
		fmt.Fprint(out, all.Excerpt(source))
	default:
		for _, p := range r.Problems {
			fmt.Fprintf(out, "%s: %s\n", p.File, p.Message)
		}
	}
}

// more counts what only some files have.
func more(cfg *config.Config) string {
	text := ""
	for _, n := range []struct {
		n    int
		what string
	}{{len(cfg.RuleTexts), "rule files"}, {len(cfg.Routes), "routes"}, {len(cfg.SLOs), "objectives"}} {
		if n.n > 0 {
			text += fmt.Sprintf(", %d %s", n.n, n.what)
		}
	}
	return text
}
