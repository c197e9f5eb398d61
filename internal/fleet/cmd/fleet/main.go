// Command fleet measures watchdog with many targets (see internal/fleet).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"watchdog.io/watchdog/internal/fleet"
)

// command is one thing that can be done.
type command struct {
	name, about string
	run         func(ctx context.Context, f *flag.FlagSet, args []string) error
}

var commands = []command{
	{"bench", "measure watchdog at rest, with fleets of several sizes", bench},
	{"takeover", "measure how a leader takes over stored incidents", takeover},
	{"soak", "run for long, and fail if memory grows", soak},
	{"peers", "compare HTTP probing with other programs", peers},
	{"rules", "compare `watchdog test` with `promtool test rules`", rules},
	{"loop", "only ask the targets, until stdin ends", loop},
	{"apiserver", "only serve the stand-in for the API server, until stdin ends", apiserver},
	{"targets", "only serve the targets, until stdin ends", targets},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 {
		for _, c := range commands {
			if c.name != os.Args[1] {
				continue
			}
			if err := c.run(ctx, flag.NewFlagSet(c.name, flag.ExitOnError), os.Args[2:]); err != nil && ctx.Err() == nil {
				fmt.Fprintf(os.Stderr, "fleet %s: %v\n", c.name, err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: fleet COMMAND [-h]")
	for _, c := range commands {
		fmt.Fprintf(os.Stderr, "  %-10s %s\n", c.name, c.about)
	}
	os.Exit(2)
}

// world adds the flags of what runs.
func world(f *flag.FlagSet, s *fleet.Setup) {
	f.StringVar(&s.Watchdog, "watchdog", "bin/watchdog", "the program to measure")
	f.StringVar(&s.Dir, "dir", "", "folder for configuration, data and logs, which stays (default: a temporary one)")
	f.IntVar(&s.Hang, "hang", 0, "targets that never answer")
	f.IntVar(&s.Slow, "slow", 0, "targets that take a second")
	f.IntVar(&s.Failing, "failing", 0, "targets that answer 503")
	f.Float64Var(&s.Throttle, "throttle", 0, "requests a second that the API server answers; 0: all")
	f.IntVar(&s.MemoryLimit, "memory-limit", 0, "MiB that are handed to watchdog as its limit, as the chart does; 0: none")
}

// each runs f in a folder of its own.
func each(s fleet.Setup, name string, f func(fleet.Setup) error) error {
	if s.Dir == "" {
		dir, err := os.MkdirTemp("", "watchdog-fleet-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s.Dir = dir
	}
	s.Dir = filepath.Join(s.Dir, name)
	if err := os.RemoveAll(s.Dir); err != nil { // what an earlier run left would be read
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	return f(s)
}

func numbers(text string) ([]int, error) {
	var all []int
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("invalid list %q; expected numbers such as 100,1000", text)
		}
		all = append(all, n)
	}
	return all, nil
}

// tabulate runs each size and prints a column for it.
func tabulate(setup fleet.Setup, sizes string, run func(s fleet.Setup, n int) (fleet.Column, error)) error {
	all, err := numbers(sizes)
	if err != nil {
		return err
	}
	var table fleet.Table
	defer table.Print(os.Stdout, true) // also what is known when a run fails
	for _, n := range all {
		if err := each(setup, strconv.Itoa(n), func(s fleet.Setup) error { return table.Add(run(s, n)) }); err != nil {
			return err
		}
	}
	return nil
}

func bench(ctx context.Context, f *flag.FlagSet, args []string) error {
	b := fleet.Bench{}
	world(f, &b.Setup)
	sizes := f.String("targets", "100,1000,10000", "sizes of fleets")
	f.DurationVar(&b.Warm, "warm", 30*time.Second, "time before what is measured")
	f.DurationVar(&b.Window, "window", time.Minute, "time that is measured")
	f.StringVar(&b.Profiles, "profiles", "", "folder for profiles of each run")
	_ = f.Parse(args) // it exits
	return tabulate(b.Setup, *sizes, func(s fleet.Setup, n int) (fleet.Column, error) {
		one := b
		one.Setup, one.Targets = s, n
		return one.Run(ctx, os.Stdout)
	})
}

func takeover(ctx context.Context, f *flag.FlagSet, args []string) error {
	t := fleet.Takeover{}
	world(f, &t.Setup)
	f.IntVar(&t.Targets, "targets", 100, "targets")
	f.BoolVar(&t.Open, "open", false, "the incidents are open")
	sizes := f.String("incidents", "2000,10000", "numbers of stored incidents")
	f.DurationVar(&t.Stay, "stay", 45*time.Second, "time that watchdog runs after it has read them")
	_ = f.Parse(args)
	return tabulate(t.Setup, *sizes, func(s fleet.Setup, n int) (fleet.Column, error) {
		one := t
		one.Setup, one.Incidents = s, n
		return one.Run(ctx)
	})
}

func soak(ctx context.Context, f *flag.FlagSet, args []string) error {
	s := fleet.Soak{}
	world(f, &s.Setup)
	f.IntVar(&s.Targets, "targets", 1000, "targets")
	f.DurationVar(&s.For, "for", time.Hour, "how long")
	report := f.String("report", "", "file that the report is written to, beside stdout")
	_ = f.Parse(args)
	var out io.Writer = os.Stdout
	if *report != "" {
		file, err := os.Create(*report)
		if err != nil {
			return err
		}
		defer file.Close()
		out = io.MultiWriter(out, file)
	}
	return each(s.Setup, "soak", func(x fleet.Setup) error {
		s.Setup = x
		return s.Run(ctx, out)
	})
}

func peers(ctx context.Context, f *flag.FlagSet, args []string) error {
	p := fleet.Peers{}
	world(f, &p.Setup)
	f.IntVar(&p.Targets, "targets", 1000, "targets")
	f.IntVar(&p.Rounds, "rounds", 3, "how often each is measured")
	f.DurationVar(&p.Warm, "warm", 10*time.Second, "time before what is measured")
	f.DurationVar(&p.Window, "window", 20*time.Second, "time that is measured")
	f.StringVar(&p.Gatus, "gatus", "bin/gatus", "the program Gatus")
	f.StringVar(&p.Blackbox, "blackbox", "bin/blackbox_exporter", "the program blackbox_exporter")
	f.StringVar(&p.Prometheus, "prometheus", "bin/prometheus", "the program Prometheus")
	_ = f.Parse(args)
	return each(p.Setup, "peers", func(s fleet.Setup) error {
		p.Setup = s
		return p.Run(ctx, os.Stdout)
	})
}

func rules(ctx context.Context, f *flag.FlagSet, args []string) error {
	r, s := fleet.RuleTests{}, fleet.Setup{}
	f.StringVar(&s.Watchdog, "watchdog", "bin/watchdog", "the program to measure")
	f.StringVar(&r.Promtool, "promtool", "bin/promtool", "the program promtool")
	f.IntVar(&r.Rounds, "rounds", 3, "how often each file is measured")
	f.StringVar(&s.Dir, "dir", "", "folder for the files, which stay (default: a temporary one)")
	_ = f.Parse(args)
	r.Files, r.Watchdog = f.Args(), s.Watchdog
	return each(s, "rules", func(s fleet.Setup) error {
		r.Dir = s.Dir
		return r.Run(ctx, os.Stdout)
	})
}

func loop(ctx context.Context, f *flag.FlagSet, args []string) error {
	n := f.Int("targets", 1000, "targets")
	port := f.Int("port", 0, "their port")
	keep := f.Bool("keep", false, "keep connections")
	_ = f.Parse(args)
	fleet.Loop(untilStdinEnds(ctx), *n, *port, *keep)
	return nil
}

func apiserver(ctx context.Context, f *flag.FlagSet, args []string) error {
	var o fleet.APIOptions
	dir := f.String("dir", ".", "folder that the kubeconfig is written to")
	f.IntVar(&o.Targets, "targets", 100, "targets")
	f.IntVar(&o.Incidents, "incidents", 0, "stored incidents")
	f.BoolVar(&o.Open, "open", false, "the incidents are open")
	f.Float64Var(&o.Throttle, "throttle", 0, "requests a second that are answered; 0: all")
	_ = f.Parse(args)
	a, err := fleet.NewAPIServer(o)
	if err != nil {
		return err
	}
	return fleet.ServeAPI(untilStdinEnds(ctx), a, *dir)
}

func targets(ctx context.Context, f *flag.FlagSet, args []string) error {
	t := fleet.NewTargets()
	dir := f.String("dir", ".", "folder that the port is written to")
	f.IntVar(&t.Hang, "hang", 0, "targets that never answer")
	f.IntVar(&t.Slow, "slow", 0, "targets that take a second")
	f.IntVar(&t.Failing, "failing", 0, "targets that answer 503")
	_ = f.Parse(args)
	return fleet.ServeTargets(untilStdinEnds(ctx), t, *dir)
}

// untilStdinEnds ends a server with the program that started it, however that ends.
func untilStdinEnds(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel(errors.New("stdin has ended"))
	}()
	return ctx
}
