package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"runtime/debug"
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
		Short: "Say what a policy would have done with what was measured",
		Long: `Backtest plays real history to the rules, guards and ladders of a configuration, by
the code of the daemon itself on a virtual clock, and says what would have fired,
what would have been done about it, which guards would have held it, who would have
been paged, and for how long nothing could be said.

The history is a Prometheus (--from http://…; default: the configuration's
prometheus), a folder of its blocks (--from /prometheus), or a recording in
OpenMetrics (--from dump.om). Nothing is written, and no cluster is asked.

History goes on as it was: no action cures anything in it. What guards need to know
of workloads is not in it either: each target has three replicas that nobody touches.

--compare OLD plays OLD, too, and prints what differs. --assert makes a bound on a
number part of the exit status; docs/backtest.md lists the numbers.

Exit status: 0 every assertion holds, 1 one does not, or the history could not be
read, 2 wrong usage.`,
		Example: `  watchdog backtest watchdog.yaml --last 30d --mode auto
  watchdog backtest watchdog.yaml --from ./prometheus-snapshot --html report.html
  watchdog backtest --compare old.yaml new.yaml --from http://localhost:9090 --last 7d
  watchdog backtest watchdog.yaml --last 7d --assert 'pages{severity="P0"} == 0' --assert 'actions <= 5'`,
		Args: exactly(1, "one FILE"),
		RunE: func(c *cobra.Command, args []string) error { return b.run(c, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&b.from, "from", "", "where history is: the URL of a Prometheus, a folder of TSDB blocks, or a file in OpenMetrics")
	f.StringVar(&b.compare, "compare", "", "another configuration, to say what differs")
	f.StringVar(&b.begin, "begin", "", "first moment, in RFC 3339 (default: --last before the end)")
	f.StringVar(&b.end, "end", "", "last moment, in RFC 3339 (default: the end of the history, or now)")
	f.StringVar(&b.last, "last", "1d", "how much of the history, if --begin is not given")
	f.StringVar(&b.mode, "mode", "", "play as if this were the ceiling: observe, suggest, approve or auto (default: the file's)")
	f.StringArrayVar(&b.asserts, "assert", nil, "a bound that must hold, like 'pages <= 3'; may be repeated")
	f.StringVar(&b.html, "html", "", "also write the report as one HTML page to this file")
	f.StringVar(&b.token, "bearer-token-file", "", "file with a bearer token for a Prometheus in --from")
	f.StringVar(&b.ca, "ca-file", "", "certificate authorities for a Prometheus in --from instead of the system's")
	f.DurationVar(&b.timeout, "timeout", 2*time.Minute, "how long one question may take")
	f.StringVarP(&b.output, "output", "o", "text", "text, json or html")
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
	case !slices.Contains([]string{"text", "json", "html"}, b.output):
		return misused{fmt.Errorf("--output %q: use text, json or html", b.output)}
	case b.compare != "" && (b.output == "html" || b.html != ""):
		return misused{errors.New("--compare has no HTML; write a report of each file")}
	case !slices.Contains([]string{"", "observe", "suggest", "approve", "auto"}, b.mode):
		return misused{fmt.Errorf("--mode %q: use observe, suggest, approve or auto", b.mode)}
	}
	cfg, err := b.load(file)
	if err != nil {
		return check(c, []string{file}, "text")
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
	// Most of what a backtest allocates is gone a moment later.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
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
	write := map[string]func(io.Writer) error{"text": report.WriteText, "json": report.WriteJSON, "html": report.WriteHTML}[b.output]
	if b.compare != "" {
		old, err := b.load(b.compare)
		if err != nil {
			return check(c, []string{b.compare}, "text")
		}
		before, err := b.play(c, old, source, begin, end)
		if err != nil {
			return err
		}
		x := backtest.Compare(before, report)
		write = x.WriteText
		if b.output == "json" {
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
			fmt.Fprintln(w, "assertion does not hold:", text)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d assertions do not hold", bad, len(asserts))
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

func (b *backtesting) play(c *cobra.Command, cfg *config.Config, s *history.Source, begin, end time.Time) (*backtest.Report, error) {
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
			return nil, misused{fmt.Errorf("--from is needed: %s has no prometheus to ask", cfg.File)}
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
			return begin, end, fmt.Errorf("--end %q: want a time like 2026-11-01T00:00:00Z", b.end)
		}
	}
	if b.begin != "" {
		if begin, err = time.Parse(time.RFC3339, b.begin); err != nil {
			return begin, end, fmt.Errorf("--begin %q: want a time like 2026-11-01T00:00:00Z", b.begin)
		}
	} else {
		d, err := model.ParseDuration(b.last)
		if err != nil || d <= 0 {
			return begin, end, fmt.Errorf("--last %q: want a duration like 30d or 12h", b.last)
		}
		begin = end.Add(-time.Duration(d))
		if begin.Before(s.Begin) {
			begin = s.Begin
		}
	}
	if !begin.Before(end) {
		return begin, end, fmt.Errorf("from %s to %s is no time", begin.Format(time.RFC3339), end.Format(time.RFC3339))
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
	return fmt.Sprintf("%s [%s%s] %3.0f %%, %s of %s, %s left", what, strings.Repeat("#", full), strings.Repeat(".", cells-full), share*100, days(done), days(of), left)
}

func days(d time.Duration) string { return model.Duration(d).String() }
