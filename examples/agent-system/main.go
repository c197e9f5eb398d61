// Command agent-system is the application that the examples, the demo and the
// tests of watchdog watch: a small web service that does work, tells how it is,
// and can be released in good and in bad versions. README.md lists them.
//
// Its one rule: no fault is pretended. A slow release waits, one that leaks takes
// memory, one that crashes exits.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	s, err := fromEnv(os.Getenv)
	if err == nil {
		err = run(ctx, s)
	}
	if err != nil {
		log.Fatal("FATAL ", err)
	}
}

// crashAfter is how far a release with FAULT=crash comes.
const crashAfter = 300 * time.Millisecond

var errCrash = errors.New("cannot migrate: column agents.lease_epoch does not exist (schema v7, found v6)")

func run(ctx context.Context, s settings) error {
	log.Printf("INFO agent-system %s starting", s.version)
	if s.faults.has(faultCrash) {
		select {
		case <-time.After(crashAfter):
			return errCrash
		case <-ctx.Done():
			return nil
		}
	}
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	a := newApp(s)
	go a.live(ctx)
	log.Printf("INFO listening on %s", l.Addr())
	return serve(ctx, l, a)
}

// The end of a process: for drainTime it says that it is not ready and goes on
// serving, so that nobody is sent to it any more; then it finishes what it has.
const (
	drainTime = 500 * time.Millisecond
	endTime   = 3 * time.Second
)

func serve(ctx context.Context, l net.Listener, a *app) error {
	srv := &http.Server{Handler: a.routes(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Print("INFO stopping")
	a.stopping.Store(true)
	end, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	time.Sleep(drainTime)
	if err := srv.Shutdown(end); err != nil {
		// Stopping is not failing: what is still asked for gets no answer.
		log.Print("WARN stopped with requests unanswered")
		return srv.Close()
	}
	return nil
}
