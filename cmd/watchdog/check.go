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
	k := checking{output: formatText}
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Validate configuration files and find likely mistakes",
		Long: `Check loads each file like "watchdog run" does and builds everything that needs no
cluster: rules, probes, ladders. It prints every error with its file, its line and the
fix. It does not read secret files. Helm values files are supported, too: check reads
the configuration under config, and extraFiles beside it.

In a valid file, check looks for likely mistakes: a rule without targets, a ladder that
can oscillate, a restart that waits for a second source of evidence which does not
exist. Each finding ends with the name of its lint in parentheses. --ignore skips a
lint, --lints lists them, --strict treats findings and warnings as errors, and --online
asks the configured Prometheus whether it has the metrics that the rules use.

Exit status: 0 all files are valid, 1 a file is invalid (or, with --strict, has findings), 2 usage error.`,
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
				return misused{errors.New("check requires at least one FILE")}
			}
			if k.output != formatText && k.output != formatJSON {
				return misused{fmt.Errorf("invalid --output %q; expected one of: text, json", k.output)}
			}
			for _, name := range k.ignore {
				if name != lint.Online.Name && !slices.ContainsFunc(lint.Lints,
					func(l lint.Lint) bool { return l.Name == name }) {
					return misused{fmt.Errorf("unknown lint %q in --ignore; --lints lists all lints", name)}
				}
			}
			return k.run(c, args)
		},
	}
	f := c.Flags()
	f.StringVarP(&k.output, "output", "o", k.output, "text or json")
	f.BoolVar(&k.strict, "strict", false, "treat findings and warnings as errors")
	f.BoolVar(&k.online, "online", false, "ask the configured Prometheus whether it has the metrics")
	f.StringSliceVar(&k.ignore, "ignore", nil, "skip this lint; can be repeated")
	f.BoolVar(&k.lints, "lints", false, "list all lints")
	return c
}

// check says what is wrong with files, and nothing else: for other commands that
// need a valid one.
func check(c *cobra.Command, files []string) error {
	k := checking{output: formatText}
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
	if k.output == formatJSON {
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
		return fmt.Errorf("%d of %d files have findings (--strict)", doubtful, len(files))
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
	if k.output == formatText {
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
		return found, errors.New("--online requires prometheus.url in the configuration")
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
		fmt.Fprintf(out, "%s: valid: %d targets, %d rules, mode %s%s\n", r.File, len(cfg.Targets), len(cfg.Thresholds),
			cfg.Mode, more(cfg))
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
