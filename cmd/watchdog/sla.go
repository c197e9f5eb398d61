package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/rules"
)

func newSLA() *cobra.Command {
	return group(&cobra.Command{Use: "sla", Short: "Report on service level objectives"}, newSLAReport())
}

// slaReport are the flags of `watchdog sla report`.
type slaReport struct {
	file, url, token, ca, window, output string
	timeout                              time.Duration
}

func newSLAReport() *cobra.Command {
	r := slaReport{}
	c := &cobra.Command{
		Use:   "report --config FILE",
		Short: "Report uptime, latency and errors against their objectives, and the remaining error budget",
		Long: `Report compares uptime, latency and errors with the objectives (slos) of a configuration,
per target and window, and shows the remaining error budget.

It queries the Prometheus HTTP API of watchdog itself (which keeps samples in memory for
a limited time) or of a Prometheus server that scrapes watchdog. COVERED is the share of
the window for which there are samples; time without samples counts neither as good nor
as bad.

Exit status: 0 every objective is met, 1 an objective is missed or the query failed,
2 usage error.`,
		Example: `  watchdog sla report --config watchdog.yaml
  kubectl port-forward -n watchdog deploy/watchdog 9095 &
  kubectl create token NAME -n watchdog --audience watchdog > token
  watchdog sla report --config watchdog.yaml --url http://localhost:9095 --bearer-token-file token
  watchdog sla report --config watchdog.yaml --window 7d -o json`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return r.run(c) },
	}
	f := c.Flags()
	f.StringVar(&r.file, "config", "", "configuration file")
	f.StringVar(&r.url, "url", "", "base URL of watchdog or of a Prometheus server (default: prometheus.url of the "+
		"configuration)")
	f.StringVar(&r.token, "bearer-token-file", "", "file with a bearer token for --url")
	f.StringVar(&r.ca, "ca-file", "", "file with the certificate authorities for --url, instead of the system's")
	f.StringVar(&r.window, "window", "", "window of the report, for example 7d (default: the window of each objective)")
	f.DurationVar(&r.timeout, "timeout", 30*time.Second, "timeout of one query")
	f.StringVarP(&r.output, "output", "o", formatTable, "table or json")
	return c
}

// level is one objective on one target.
type level struct {
	SLO       string  `json:"slo"`
	Target    string  `json:"target"`
	Objective float64 `json:"objective"`
	// Good is the share of good events; Covered how much of the window was measured.
	Good      float64       `json:"good"`
	Window    time.Duration `json:"windowNanoseconds"`
	Covered   time.Duration `json:"coveredNanoseconds"`
	BadEvents float64       `json:"badEvents"`
	Events    float64       `json:"events"`
	// BudgetLeft is the share of the error budget of the whole window that is left,
	// and MinutesLeft the same in minutes of complete failure.
	BudgetLeft  float64 `json:"budgetLeft"`
	MinutesLeft float64 `json:"minutesLeft"`
	Met         bool    `json:"met"`
}

func (r *slaReport) run(c *cobra.Command) error {
	if r.file == "" || r.output != formatTable && r.output != formatJSON {
		return misused{errors.New("--config FILE is required, and --output must be table or json")}
	}
	var window time.Duration
	if r.window != "" {
		d, err := model.ParseDuration(r.window)
		if err != nil || time.Duration(d) < time.Minute {
			return misused{fmt.Errorf("invalid --window %s; use a duration of at least one minute, for example 7d",
				r.window)}
		}
		window = time.Duration(d)
	}
	cfg, err := config.Load(r.file)
	if err != nil {
		return err
	}
	if len(cfg.SLOs) == 0 {
		return fmt.Errorf("%s: no slos configured; see configs/slo.yaml", r.file)
	}
	ask, err := r.asker(cfg)
	if err != nil {
		return err
	}
	var all []level
	for _, o := range policy.Objectives(cfg) {
		levels, err := measure(c.Context(), ask, o, cmp.Or(window, o.Window))
		if err != nil {
			return err
		}
		all = append(all, levels...)
	}
	if len(all) == 0 {
		return errors.New("no samples for any objective; does this server scrape watchdog?")
	}
	if r.output == formatJSON {
		err = printJSON(c.OutOrStdout(), map[string]any{"objectives": all})
	} else {
		err = printLevels(c.OutOrStdout(), all)
	}
	if missed := slices.DeleteFunc(slices.Clone(all), func(l level) bool { return l.Met }); err == nil &&
		len(missed) > 0 {
		return fmt.Errorf("%d of %d objectives missed", len(missed), len(all))
	}
	return err
}

func (r *slaReport) asker(cfg *config.Config) (promql.QueryFunc, error) {
	o := promql.RemoteOptions{URL: r.url, Timeout: r.timeout, BearerTokenFile: r.token, CAFile: r.ca}
	if r.url == "" {
		if cfg.Prometheus == nil {
			return nil, misused{errors.New("--url is required: the configuration has no prometheus.url")}
		}
		o = policy.RemoteOptions(cfg.Prometheus)
		o.Timeout = r.timeout
	}
	return promql.NewRemote(o)
}

// measure asks for one objective over a window. A server that has the recorded
// events is asked for them, any other for what they are made of.
func measure(ctx context.Context, ask promql.QueryFunc, o rules.SLO, window time.Duration) ([]level, error) {
	at := time.Now()
	levels := map[string]*level{}
	collect := func(expr string, put func(*level, float64)) error {
		points, err := ask(ctx, expr, at)
		if err != nil {
			return fmt.Errorf("slo %s: %w", o.Name, err)
		}
		for _, p := range points {
			t := p.Labels.Get("target")
			if levels[t] == nil {
				levels[t] = &level{SLO: o.Name, Target: t, Objective: o.Objective, Window: window}
			}
			put(levels[t], p.Value)
		}
		return nil
	}
	for _, form := range []rules.SLO{o, o.Raw()} {
		err := errors.Join(
			collect(form.AllOver(window), func(l *level, v float64) { l.Events = v }),
			collect(form.BadOver(window), func(l *level, v float64) { l.BadEvents = v }),
			collect(form.Minutes(window), func(l *level, v float64) { l.Covered = time.Duration(v) * time.Minute }),
		)
		if err != nil {
			return nil, err
		}
		if len(levels) > 0 {
			break
		}
	}
	var all []level
	for _, l := range levels {
		l.settle()
		all = append(all, *l)
	}
	slices.SortFunc(all, func(a, b level) int { return cmp.Compare(a.Target, b.Target) })
	return all, nil
}

// settle works out what follows from the events. What was not measured spends no
// budget.
func (l *level) settle() {
	l.Good, l.BudgetLeft = 1, 1
	if l.Events > 0 || number(l.Events) == nil || number(l.BadEvents) == nil {
		l.Good = 1 - l.BadEvents/l.Events
		share := min(1, l.Covered.Minutes()/l.Window.Minutes())
		l.BudgetLeft = 1 - (1-l.Good)*share/(1-l.Objective)
	}
	l.MinutesLeft = l.BudgetLeft * (1 - l.Objective) * l.Window.Minutes()
	l.Met = number(l.Good) != nil && number(l.BadEvents) != nil && l.Good >= l.Objective
}

// number is v, or nil if it is none: then JSON has null for it, and nothing is met by it.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// MarshalJSON writes null for what is no number.
func (l level) MarshalJSON() ([]byte, error) {
	type plain level
	return json.Marshal(struct {
		plain
		Good        *float64 `json:"good"`
		BadEvents   *float64 `json:"badEvents"`
		Events      *float64 `json:"events"`
		BudgetLeft  *float64 `json:"budgetLeft"`
		MinutesLeft *float64 `json:"minutesLeft"`
	}{plain(l), number(l.Good), number(l.BadEvents), number(l.Events), number(l.BudgetLeft), number(l.MinutesLeft)})
}

func printLevels(w io.Writer, all []level) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "TARGET\tOBJECTIVE\tPROMISED\tMEASURED\tWINDOW\tCOVERED\tBUDGET LEFT\tMET")
	for _, l := range all {
		met := "yes"
		if !l.Met {
			met = "NO"
		}
		left := "not a number"
		if number(l.BudgetLeft) != nil {
			left = fmt.Sprintf("%s%% (%s min)", strconv.FormatFloat(l.BudgetLeft*100, 'f', 1, 64),
				strconv.FormatFloat(l.MinutesLeft, 'f', 1, 64))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Target, l.SLO, share(l.Objective), share(l.Good),
			model.Duration(l.Window), model.Duration(l.Covered.Truncate(time.Minute)), left, met)
	}
	return t.Flush()
}

// share prints a share so that 99.949 % does not read as 99.95 %.
func share(v float64) string {
	if number(v) == nil {
		return "not a number"
	}
	return strconv.FormatFloat(math.Floor(v*100000)/1000, 'f', 3, 64) + "%"
}
