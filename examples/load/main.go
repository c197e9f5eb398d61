// Command load uses a web service as its users would, and says each second what
// they saw. It is a closed loop: a number of workers that each send a request,
// wait for the answer, and think. With -rate requests come at a fixed rate
// instead, whatever the answers take.
//
//	load -url http://127.0.0.1:30080/work -workers 24 -think 50ms
//
// Every request is a new connection, because a Service balances connections.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(2)
	}
	client := &http.Client{Timeout: o.timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	run(ctx, o, client, os.Stdout)
}

type options struct {
	url      string
	workers  int
	duration time.Duration // 0: until interrupted
	think    time.Duration
	rate     float64 // requests a second; 0: a closed loop
	timeout  time.Duration
	quiet    bool
}

// maxWorkers bounds the connections that are open at a time, maxRate the ticks.
const (
	maxWorkers = 10_000
	maxRate    = 100_000
)

func parse(args []string, help io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(help)
	f.StringVar(&o.url, "url", "http://127.0.0.1:30080/work", "`address` to request")
	f.IntVar(&o.workers, "workers", 24, "workers, which is the most requests at a time")
	f.DurationVar(&o.duration, "duration", 0, "how long to go on; 0 until interrupted")
	f.DurationVar(&o.think, "think", 50*time.Millisecond, "pause of a worker after each answer; not with -rate")
	f.Float64Var(&o.rate, "rate", 0, "requests a second, whatever the answers take; 0 for a closed loop")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "time for one answer")
	f.BoolVar(&o.quiet, "quiet", false, "print the summary only")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	return o, o.check(f.Args())
}

func (o options) check(rest []string) error {
	u, err := url.Parse(o.url)
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("-url is %q, want an address such as http://127.0.0.1:30080/work", o.url)
	case o.workers < 1 || o.workers > maxWorkers:
		return fmt.Errorf("-workers is %d, want 1 to %d", o.workers, maxWorkers)
	case !(o.rate >= 0 && o.rate <= maxRate):
		return fmt.Errorf("-rate is %v, want 0 to %d", o.rate, maxRate)
	case o.duration < 0 || o.think < 0 || o.timeout <= 0:
		return errors.New("-duration and -think must not be negative, -timeout must be positive")
	}
	return nil
}
