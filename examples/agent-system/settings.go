package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// settings is the release: what the image's environment says.
type settings struct {
	version   string
	listen    string
	slots     int           // units of work at a time
	queue     int           // requests that may wait for a slot
	service   time.Duration // what one unit takes
	startup   time.Duration // from start to ready
	errorRate float64       // share of failing requests
	leak      int           // MiB per second
	leakMax   int           // MiB in all, for the sake of the machine
	window    time.Duration
	agents    int
	faults    faults
	faultFile string
	faultFrom time.Duration // age of the process at which its faults begin
}

// fromEnv reads the release. A value that makes no sense is an error: a fault
// that was asked for and is silently absent would spoil a test.
func fromEnv(get func(string) string) (settings, error) {
	e := env{get: get}
	s := settings{
		version:   e.text("VERSION", "2.2.0"),
		listen:    get("LISTEN_HOST") + ":8080",
		slots:     e.number("SLOTS", 2, 1),
		queue:     e.number("QUEUE", 200, 0),
		service:   time.Duration(e.number("SERVICE_MS", 20, 0)) * time.Millisecond,
		startup:   e.span("STARTUP", 0),
		errorRate: e.percent("ERROR_RATE", 30),
		leak:      e.number("LEAK_MB_PER_S", 20, 0),
		leakMax:   e.number("LEAK_MAX_MB", 512, 0),
		window:    e.span("SLA_WINDOW", time.Minute),
		agents:    e.number("AGENTS", 3, 0),
		faultFile: get("FAULT_FILE"),
		faultFrom: e.span("FAULT_AFTER", 0),
	}
	var err error
	if s.faults, err = parseFaults(get("FAULT"), releaseFaults()); err != nil {
		e.errs = append(e.errs, fmt.Errorf("FAULT: %w", err))
	}
	if s.window < time.Second {
		e.errs = append(e.errs, fmt.Errorf("SLA_WINDOW is %s, want 1s or more", s.window))
	}
	return s, errors.Join(e.errs...)
}

// env reads variables and collects what is wrong with them.
type env struct {
	get  func(string) string
	errs []error
}

func (e *env) text(name, otherwise string) string {
	if v := e.get(name); v != "" {
		return v
	}
	return otherwise
}

func (e *env) number(name string, otherwise, least int) int {
	v := e.get(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least {
		e.errs = append(e.errs, fmt.Errorf("%s is %q, want a whole number, %d or more", name, v, least))
	}
	return n
}

func (e *env) percent(name string, otherwise float64) float64 {
	v := e.get(name)
	if v == "" {
		return otherwise / 100
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 0 && f <= 100) {
		e.errs = append(e.errs, fmt.Errorf("%s is %q, want a percentage", name, v))
	}
	return f / 100
}

func (e *env) span(name string, otherwise time.Duration) time.Duration {
	v := e.get(name)
	if v == "" {
		return otherwise
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		e.errs = append(e.errs, fmt.Errorf("%s is %q, want a duration such as 5s", name, v))
	}
	return d
}
