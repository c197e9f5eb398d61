package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"watchdog.io/watchdog/internal/backtest"
	"watchdog.io/watchdog/internal/history"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/policy"
	"watchdog.io/watchdog/pkg/promql"
)

// backtesting are the flags of `watchdog backtest`.
type backtesting struct {
	compare, from, token, ca string
	begin, end, last         string
	mode, output, html       string
	asserts                  []string
	timeout                  time.Duration
}

func newBacktest() *cobra.Command {
	b := backtesting{}
	c := &cobra.Command{
		Use:   "backtest FILE",
		Short: "Replay history against a configuration",
		Long: `Backtest replays real history against the rules, guards and ladders of a configuration.
It runs the code of the daemon on a virtual clock and reports which alerts would have
fired, which actions watchdog would have taken, which guards would have stopped them,
who would have been paged, and for how long there was no data.

The history comes from a Prometheus server (--from http://…; default: prometheus.url of
the configuration), a directory of TSDB blocks (--from /prometheus), or an OpenMetrics
file (--from dump.om). Backtest writes nothing and does not contact a cluster.

Actions do not change the history: an action never resolves an incident. The history
has no workloads either: each target has three replicas that nobody changes.

--compare OLD also replays OLD and prints the differences. --assert fails the command
if a figure is out of bounds; docs/backtest.md lists the figures.

Exit status: 0 every assertion holds, 1 an assertion fails or the history cannot be
read, 2 usage error.`,
		Example: `  watchdog backtest watchdog.yaml --last 30d --mode auto
  watchdog backtest watchdog.yaml --from ./prometheus-snapshot --html report.html
  watchdog backtest --compare old.yaml new.yaml --from http://localhost:9090 --last 7d
  watchdog backtest watchdog.yaml --last 7d --assert 'pages{severity="P0"} == 0' --assert 'actions <= 5'`,
		Args: exactly(1, "one FILE"),
		RunE: func(c *cobra.Command, args []string) error { return b.run(c, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&b.from, "from", "", "source of the history: the URL of a Prometheus server, a directory of TSDB "+
		"blocks, or an OpenMetrics file")
	f.StringVar(&b.compare, "compare", "", "another configuration to compare with")
	f.StringVar(&b.begin, "begin", "", "start time in RFC 3339 (default: --last before the end)")
	f.StringVar(&b.end, "end", "", "end time in RFC 3339 (default: the end of the history, or now)")
	f.StringVar(&b.last, "last", "1d", "length of the period, if --begin is not set")
	f.StringVar(&b.mode, "mode", "", "override the mode of the configuration: observe, suggest, approve or auto")
	f.StringArrayVar(&b.asserts, "assert", nil, "fail unless this holds, for example 'pages <= 3'; can be repeated")
	f.StringVar(&b.html, "html", "", "also write the report as an HTML page to this file")
	f.StringVar(&b.token, "bearer-token-file", "", "file with a bearer token for the Prometheus server of --from")
	f.StringVar(&b.ca, "ca-file", "", "file with the certificate authorities for the Prometheus server of --from, "+
		"instead of the system's")
	f.DurationVar(&b.timeout, "timeout", 2*time.Minute, "timeout of one query")
	f.StringVarP(&b.output, "output", "o", formatText, "text, json or html")
	return c
}

func (b *backtesting) run(c *cobra.Command, file string) error {
	var asserts []backtest.Assertion
	for _, text := range b.asserts {
		a, err := backtest.ParseAssertion(text)
		if err != nil {
			return misused{err}
		}
		asserts = append(asserts, a)
	}
	switch {
	case !slices.Contains([]string{formatText, formatJSON, "html"}, b.output):
		return misused{fmt.Errorf("invalid --output %q; expected one of: text, json, html", b.output)}
	case b.compare != "" && (b.output == "html" || b.html != ""):
		return misused{errors.New("--compare does not support HTML; write one report per file")}
	case !slices.Contains([]string{"", "observe", "suggest", "approve", "auto"}, b.mode):
		return misused{fmt.Errorf("invalid --mode %q; expected one of: observe, suggest, approve, auto", b.mode)}
	}
	cfg, err := b.load(file)
	if err != nil {
		return check(c, []string{file})
	}
	source, err := b.open(cfg)
	if err != nil {
		return err
	}
	defer source.Close()
	begin, end, err := b.span(source)
	if err != nil {
		return misused{err}
	}
	report, err := b.play(c, cfg, source, begin, end)
	if err != nil {
		return err
	}
	if b.html != "" {
		if err := writeFile(b.html, report.WriteHTML); err != nil {
			return err
		}
	}
	out := c.OutOrStdout()
	write := map[string]func(io.Writer) error{formatText: report.WriteText, formatJSON: report.WriteJSON,
		"html": report.WriteHTML}[b.output]
	if b.compare != "" {
		old, err := b.load(b.compare)
		if err != nil {
			return check(c, []string{b.compare})
		}
		before, err := b.play(c, old, source, begin, end)
		if err != nil {
			return err
		}
		x := backtest.Compare(before, report)
		write = x.WriteText
		if b.output == formatJSON {
			write = x.WriteJSON
		}
	}
	if err := write(out); err != nil {
		return err
	}
	return held(c.ErrOrStderr(), asserts, report)
}

// held prints the assertions that do not hold.
func held(w io.Writer, asserts []backtest.Assertion, r *backtest.Report) error {
	bad := 0
	for _, a := range asserts {
		if text := a.Check(r); text != "" {
			bad++
			fmt.Fprintln(w, "assertion failed:", text)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d assertions failed", bad, len(asserts))
	}
	return nil
}

func (b *backtesting) load(file string) (*config.Config, error) {
	cfg, err := config.Load(file)
	if err == nil && b.mode != "" {
		cfg.Raise(incident.Mode(b.mode))
	}
	return cfg, err
}

func (b *backtesting) play(c *cobra.Command, cfg *config.Config, s *history.Source, begin,
	end time.Time) (*backtest.Report, error) {
	bar := progress(c.ErrOrStderr(), cfg.File)
	r, err := backtest.Run(c.Context(), backtest.Options{Config: cfg, Source: s, Begin: begin, End: end, Progress: bar})
	bar(0, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.File, err)
	}
	return r, nil
}

// open opens the history that is asked for.
func (b *backtesting) open(cfg *config.Config) (*history.Source, error) {
	o := promql.RemoteOptions{URL: b.from, Timeout: b.timeout, BearerTokenFile: b.token, CAFile: b.ca}
	if b.from == "" {
		if cfg.Prometheus == nil {
			return nil, misused{fmt.Errorf("--from is required: %s has no prometheus.url", cfg.File)}
		}
		o = policy.RemoteOptions(cfg.Prometheus)
		o.Timeout, o.CAFile = b.timeout, cmp.Or(b.ca, o.CAFile)
		if b.token != "" {
			o.BearerTokenFile, o.HTTP.BasicAuth, o.HTTP.Authorization = b.token, nil, nil
		}
	}
	if u, err := url.Parse(o.URL); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		return history.OpenServer(o)
	}
	return history.Open(path.Clean(b.from))
}

// span is what is played.
func (b *backtesting) span(s *history.Source) (begin, end time.Time, err error) {
	end = time.Now().UTC()
	if !s.End.IsZero() {
		end = s.End
	}
	if b.end != "" {
		if end, err = time.Parse(time.RFC3339, b.end); err != nil {
			return begin, end, fmt.Errorf("invalid --end %q; use for example 2026-11-01T00:00:00Z", b.end)
		}
	}
	if b.begin != "" {
		if begin, err = time.Parse(time.RFC3339, b.begin); err != nil {
			return begin, end, fmt.Errorf("invalid --begin %q; use for example 2026-11-01T00:00:00Z", b.begin)
		}
	} else {
		d, err := model.ParseDuration(b.last)
		if err != nil || d <= 0 {
			return begin, end, fmt.Errorf("invalid --last %q; use a duration, for example 30d or 12h", b.last)
		}
		begin = end.Add(-time.Duration(d))
		if begin.Before(s.Begin) {
			begin = s.Begin
		}
	}
	if !begin.Before(end) {
		return begin, end, fmt.Errorf("invalid period: %s to %s", begin.Format(time.RFC3339), end.Format(time.RFC3339))
	}
	return begin, end, nil
}

// progress shows how far a backtest is on a terminal: a bar, and when it will be
// done. A call with nothing to do ends it.
func progress(w io.Writer, what string) func(done, of time.Duration) {
	f, ok := w.(*os.File)
	if ok {
		info, err := f.Stat()
		ok = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	begin, drawn := time.Now(), time.Time{}
	return func(done, of time.Duration) {
		switch {
		case !ok:
		case of == 0:
			fmt.Fprint(w, "\r\033[K")
		case time.Since(drawn) > 200*time.Millisecond:
			drawn = time.Now()
			fmt.Fprint(w, "\r\033[K"+bar(what, done, of, time.Since(begin)))
		}
	}
}

// bar is one line of progress.
func bar(what string, done, of, took time.Duration) string {
	const cells = 24
	share := float64(done) / float64(of)
	full := int(share * cells)
	left := "?"
	if share > 0 {
		left = time.Duration(float64(took) * (1 - share) / share).Round(time.Second).String()
	}
	return fmt.Sprintf("%s [%s%s] %3.0f %%, %s of %s, %s left", what, strings.Repeat("#", full),
		strings.Repeat(".", cells-full), share*100, days(done), days(of), left)
}

func days(d time.Duration) string { return model.Duration(d).String() }
