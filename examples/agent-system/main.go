// Command agent-system is the application that the examples, the demo and the
// tests of watchdog watch: a small web service that does work, tells how it is,
// and can be released in good and in bad versions. README.md lists them.
package main

import (
	"cmp"
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal("FATAL ", err)
	}
}

// settings is the release: what the image's environment says.
type settings struct {
	version   string
	slots     int
	queue     int
	service   time.Duration
	errorRate float64 // share of failing requests
	leak      int     // MiB per second
	window    time.Duration
	agents    int
	fault     string
	faultFile string
	faultFrom time.Time
}

func fromEnv() settings {
	s := settings{
		version: cmp.Or(os.Getenv("VERSION"), "2.2.0"), slots: number("SLOTS", 2), queue: number("QUEUE", 200), service: time.Duration(number("SERVICE_MS", 20)) * time.Millisecond,
		errorRate: float64(number("ERROR_RATE", 30)) / 100, leak: number("LEAK_MB_PER_S", 20), window: span("SLA_WINDOW", time.Minute), agents: number("AGENTS", 3),
		fault: os.Getenv("FAULT"), faultFile: os.Getenv("FAULT_FILE"), faultFrom: time.Now().Add(span("FAULT_AFTER", 0)),
	}
	return s
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func span(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(name)); err == nil {
		return d
	}
	return otherwise
}

// crashAfter is how far a release with FAULT=crash comes.
const crashAfter = 300 * time.Millisecond

func run(ctx context.Context) error {
	s := fromEnv()
	log.Printf("INFO agent-system %s starting", s.version)
	if s.fault == "crash" {
		time.Sleep(crashAfter)
		return errors.New("cannot migrate: column agents.lease_epoch does not exist (schema v7, found v6)")
	}
	a := newApp(s)
	go a.live(ctx)
	srv := &http.Server{Addr: os.Getenv("LISTEN_HOST") + ":8080", Handler: a.routes(), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Print("INFO stopping")
	a.stopping.Store(true)
	end, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return srv.Shutdown(end)
}
