package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/review"
)

type reviewing struct {
	cluster
	notes, format     string
	config            string
	check             bool
	url, query, token string
	bound             float64
}

func newReview() *cobra.Command {
	r := reviewing{}
	c := &cobra.Command{
		Use:   "review ID",
		Short: "Write the post-incident review of an incident",
		Long: `Review fills in the runbook's review template (8.2): when the incident began, was
detected, acted upon, acknowledged, mitigated and resolved; what the rules saw; the
timeline; which actions watchdog took, with their verdicts, and which it did not take,
with the reasons; who was notified. Each time refers to its timeline entry. The same
incident always gives the same output.

Add what only people know with --notes, a YAML file, or store it with
"watchdog review close":

  root_cause: ...
  impact: ...
  lessons: ...
  action_items:
    - { what: alert on pool size, owner: alice, due: 2026-01-31 }

With --url and --query, the HTML output includes a chart of the signal.

Exit status: 0 success, 1 failure or, with --check, a required part of the review of a
P0 or P1 is missing, 2 usage error.`,
		Example: `  watchdog review list
  watchdog review 01m869s2 > review.md
  watchdog review close 01m869s2 --notes notes.yaml
  watchdog review 01m869s2 --notes notes.yaml --check
  watchdog review 01m869s2 -o html --url http://prometheus:9090 --query 'job:latency:p95{target="cart"}' --bound 0.5 > review.html`,
		Args: exactly(1, "one ID"),
		RunE: func(c *cobra.Command, args []string) error { return r.run(c, args[0]) },
	}
	r.register(c)
	f := c.Flags()
	f.StringVarP(&r.format, "output", "o", "markdown", "markdown, html or json")
	f.StringVar(&r.notes, "notes", "", "YAML file with root_cause, impact, lessons and action_items")
	f.StringVar(&r.config, "config", "", "configuration file; its contacts and links are appended to the review")
	f.BoolVar(&r.check, "check", false, "if the review of a P0 or P1 is incomplete, list the missing parts and exit "+
		"with status 1")
	f.StringVar(&r.url, "url", "", "base URL of watchdog or of the Prometheus server that has the signal")
	f.StringVar(&r.query, "query", "", "PromQL query for the signal (one series)")
	f.StringVar(&r.token, "bearer-token-file", "", "file with a bearer token for --url")
	f.Float64Var(&r.bound, "bound", math.NaN(), "draw the threshold at this value")
	f.Lookup("bound").DefValue = "none"
	c.AddCommand(newReviewList(), newReviewClose(), newReviewDone())
	return c
}

func (r *reviewing) run(c *cobra.Command, id string) error {
	if r.format != "markdown" && r.format != "html" && r.format != formatJSON {
		return misused{fmt.Errorf("invalid --output %q; expected one of: markdown, html, json", r.format)}
	}
	if (r.url == "") != (r.query == "") {
		return misused{errors.New("--url and --query must be used together")}
	}
	notes, err := readNotes(r.notes)
	if err != nil {
		return err
	}
	client, store, err := r.store()
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	inc, v, _, err := reviewed(ctx, client, store, id, r.notes, notes)
	if err != nil {
		return err
	}
	if r.config != "" {
		cfg, err := config.Load(r.config)
		if err != nil {
			return err
		}
		for _, x := range cfg.Contacts {
			v.Contacts = append(v.Contacts, x.Line())
		}
		for _, l := range cfg.Pages() {
			v.Links = append(v.Links, review.Link(l))
		}
	}
	if missing := v.Missing(); r.check && v.Required() && len(missing) > 0 {
		return &review.Incomplete{ID: inc.ID, Severity: inc.Severity, Missing: missing}
	}
	if r.url != "" {
		if v.Picture, err = r.picture(c, v, inc); err != nil {
			return err
		}
	}
	switch r.format {
	case formatJSON:
		return printJSON(c.OutOrStdout(), v)
	case "html":
		return v.HTML(c.OutOrStdout())
	}
	return v.Markdown(c.OutOrStdout())
}

func readNotes(file string) (review.Notes, error) {
	var n review.Notes
	if file == "" {
		return n, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return n, fmt.Errorf("read --notes: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&n); err != nil {
		return n, fmt.Errorf("read --notes %s: %w", file, err)
	}
	return n, nil
}

// picturePoints bounds a picture.
const picturePoints = 600

// picture asks for the signal from a little before the incident to a little after it.
func (r *reviewing) picture(c *cobra.Command, v review.Review, inc incident.Incident) (*review.Picture, error) {
	ask, err := promql.NewRemoteRange(promql.RemoteOptions{URL: r.url, Timeout: commandTimeout,
		BearerTokenFile: r.token})
	if err != nil {
		return nil, err
	}
	from, to := v.Marks[0].At, v.Ended
	if to.IsZero() {
		to = inc.UpdatedAt
	}
	margin := max(5*time.Minute, to.Sub(from)/5)
	from, to = from.Add(-margin), to.Add(margin)
	step := max(5*time.Second, (to.Sub(from) / picturePoints).Truncate(time.Second))
	lines, err := ask(c.Context(), r.query, from, to, step)
	if err != nil {
		return nil, err
	}
	if len(lines) != 1 {
		return nil, fmt.Errorf("--query returned %d series between %s and %s; expected one", len(lines),
			from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
	}
	p := &review.Picture{Name: r.query, Bound: r.bound}
	for _, d := range lines[0].Points {
		if !d.Histogram && !math.IsNaN(d.Value) && !math.IsInf(d.Value, 0) {
			p.Points = append(p.Points, review.Point{At: time.UnixMilli(d.At), Value: d.Value})
		}
	}
	return p, nil
}
