// Command recorders stands in for PagerDuty, Slack and Statuspage on one
// address and for a mail server without TLS on another, and prints what arrives.
//
//	recorders -listen 127.0.0.1:9099 -smtp 127.0.0.1:9025 -print
//	curl -X POST '127.0.0.1:9099/mode?receiver=slack&mode=429'
//	curl 127.0.0.1:9099/recorded
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"watchdog.io/watchdog/internal/recorders"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "recorders:", err)
		os.Exit(1)
	}
}

// endTimeout is how long requests that are being answered may take at the end.
const endTimeout = time.Second

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("recorders", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9099", "`address` to listen on")
	smtp := flags.String("smtp", "", "`address` to take mails on; empty: none are")
	show := flags.Bool("print", false, "print a line for each arrival")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	o := recorders.Options{}
	if *show {
		var mu sync.Mutex
		o.OnRequest = func(q recorders.Request) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintln(out, q.At.Format(time.TimeOnly), q)
		}
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	base := "http://" + l.Addr().String()
	fmt.Fprintf(out, "slack %s/slack/api/  pagerduty %s/pagerduty  statuspage %s/statuspage\n", base, base, base)
	rec := recorders.New(o)
	failed := make(chan error, 2)
	if *smtp != "" {
		mails, err := net.Listen("tcp", *smtp)
		if err != nil {
			return err
		}
		defer mails.Close()
		fmt.Fprintf(out, "mail %s\n", mails.Addr())
		go func() { failed <- rec.ServeSMTP(mails, recorders.SMTPOptions{}) }()
	}
	srv := &http.Server{Handler: rec, ReadHeaderTimeout: 5 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	return srv.Shutdown(end)
}
