package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/internal/lint"
	"watchdog.io/watchdog/pkg/app"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/promql"
)

// checking are the flags of `watchdog check`.
type checking struct {
	output         string
	strict, online bool
	lints          bool
	ignore         []string
}

func newCheck() *cobra.Command {
	k := checking{output: "text"}
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Validate configuration files, and find what is probably not meant",
		Long: `Check reads each file as "watchdog run" would, and builds everything that can be
built without a cluster: rules, probes, ladders. It prints every error with file,
line and what would be right. Files of secrets are not read. Values of the Helm chart
are files, too: what is under config is checked, with extraFiles beside it.

A valid file is searched for what is probably not meant: a rule that no target
matches, a ladder that can oscillate, a restart that waits for a second source that
cannot come. Each finding has a name in parentheses; --ignore leaves it out, --lints
lists them, --strict makes findings and warnings count as errors. --online asks the
configured Prometheus whether it has the metrics that are asked of it.

Exit status: 0 all files are valid, 1 one is not (or, with --strict, has findings), 2 wrong usage.`,
		Example: `  watchdog check values.yaml
  watchdog check --strict --ignore no-pager watchdog.yaml
  watchdog check -o json configs/*.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			if k.lints {
				for _, l := range append(slices.Clone(lint.Lints), lint.Online) {
					fmt.Fprintf(c.OutOrStdout(), "%-16s %s\n", l.Name, l.About)
				}
				return nil
			}
			if len(args) == 0 {
				return misused{errors.New("check takes at least one file")}
			}
			if k.output != "text" && k.output != "json" {
				return misused{fmt.Errorf("--output %q: use text or json", k.output)}
			}
			for _, name := range k.ignore {
				if name != lint.Online.Name && !slices.ContainsFunc(lint.Lints, func(l lint.Lint) bool { return l.Name == name }) {
					return misused{fmt.Errorf("--ignore %s: no lint is called that; --lints lists them", name)}
				}
			}
			return k.run(c, args)
		},
	}
	f := c.Flags()
	f.StringVarP(&k.output, "output", "o", k.output, "text or json")
	f.BoolVar(&k.strict, "strict", false, "findings and warnings are errors")
	f.BoolVar(&k.online, "online", false, "ask the configured Prometheus for the metrics")
	f.StringSliceVar(&k.ignore, "ignore", nil, "leave out the findings of this name; may be repeated")
	f.BoolVar(&k.lints, "lints", false, "list what is searched for")
	return c
}

// check says what is wrong with files, and nothing else: for other commands that
// need a valid one.
func check(c *cobra.Command, files []string, output string) error {
	k := checking{output: output}
	for _, l := range lint.Lints {
		k.ignore = append(k.ignore, l.Name)
	}
	return k.run(c, files)
}

// checked is one file's result in JSON.
type checked struct {
	File     string           `json:"file"`
	Valid    bool             `json:"valid"`
	Problems []config.Problem `json:"problems"`
	Warnings []config.Problem `json:"warnings"`
	Findings []lint.Finding   `json:"findings"`
}

func (k *checking) run(c *cobra.Command, files []string) error {
	bad, doubtful := 0, 0
	var results []checked
	for _, f := range files {
		r := k.file(c, f)
		if !r.Valid {
			bad++
		} else if len(r.Warnings)+len(r.Findings) > 0 {
			doubtful++
		}
		results = append(results, r)
	}
	if k.output == "json" {
		enc := json.NewEncoder(c.OutOrStdout())
		enc.SetIndent("", "  ")
		if err := enc.Encode(results); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d files invalid", bad, len(files))
	}
	if k.strict && doubtful > 0 {
		return fmt.Errorf("%d of %d files with findings, and --strict was given", doubtful, len(files))
	}
	return nil
}

// file checks one file, and shows the result as text if that is asked for.
func (k *checking) file(c *cobra.Command, f string) checked {
	r := checked{File: f, Problems: []config.Problem{}, Warnings: []config.Problem{}, Findings: []lint.Finding{}}
	values, err := openValues(f)
	defer values.close()
	read := f
	if values != nil {
		read = values.file
	}
	var cfg *config.Config
	if err == nil {
		cfg, err = config.Load(read)
	}
	if err == nil {
		for _, w := range cfg.Warnings() {
			if w.Lint == "" {
				r.Warnings = append(r.Warnings, w)
			}
		}
		err = app.Check(cfg)
	}
	if err == nil {
		r.Findings, err = k.findings(c.Context(), cfg)
	}
	var all config.Errors
	switch {
	case err == nil:
		r.Valid = true
	case errors.As(err, &all):
		r.Problems = append(r.Problems, all...)
	default:
		r.Problems = append(r.Problems, config.Problem{File: f, Message: cfg.Hide(err.Error())})
	}
	for _, list := range [][]config.Problem{r.Problems, r.Warnings} {
		for i := range list {
			list[i].File, list[i].Message = values.said(list[i].File), values.said(list[i].Message)
		}
	}
	for i := range r.Findings {
		r.Findings[i].Message = values.said(cfg.Hide(r.Findings[i].Message))
	}
	if k.output == "text" {
		if len(all) > 0 {
			all = r.Problems
		}
		show(c, r, cfg, all)
	}
	return r
}

// findings searches a valid configuration.
func (k *checking) findings(ctx context.Context, cfg *config.Config) ([]lint.Finding, error) {
	found, err := lint.Check(cfg, k.ignore)
	if found == nil {
		found = []lint.Finding{}
	}
	if err != nil || !k.online || slices.Contains(k.ignore, lint.Online.Name) {
		return found, err
	}
	if cfg.Prometheus == nil {
		return found, errors.New("--online: the file has no prometheus to ask")
	}
	ask, err := promql.NewRemote(policy.RemoteOptions(cfg.Prometheus))
	if err != nil {
		return found, err
	}
	more, err := lint.CheckOnline(ctx, cfg, ask, time.Now())
	return append(found, more...), err
}

func show(c *cobra.Command, r checked, cfg *config.Config, all config.Errors) {
	out := c.OutOrStdout()
	for _, w := range r.Warnings {
		fmt.Fprintf(out, "%s: warning\n", w)
	}
	for _, x := range r.Findings {
		fmt.Fprintf(out, "%s: %s\n", r.File, x)
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
