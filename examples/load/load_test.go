package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// service is a web service on connections within the process, so that a test
// owns the clock.
type service struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (s *service) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *service) Close() error   { s.once.Do(func() { close(s.closed) }); return nil }
func (s *service) Addr() net.Addr { return &net.UnixAddr{Name: "service"} }

// report runs a load of the flags against handler and returns its lines.
func report(ctx context.Context, t *testing.T, handler http.HandlerFunc, flags ...string) []string {
	t.Helper()
	o, err := parse(append(flags, "-url", "http://service/work"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: handler}
	go srv.Serve(s)
	client := &http.Client{Timeout: o.timeout, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			select {
			case s.conns <- theirs:
				return ours, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}}
	var out bytes.Buffer
	run(ctx, o, client, &out)
	srv.Close()
	time.Sleep(time.Hour) // handlers whose clients are gone end, too
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func takes(d time.Duration) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { time.Sleep(d) }
}

func TestAClosedLoopWaitsForItsAnswersAndThinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := report(t.Context(), t, takes(50*time.Millisecond), "-workers", "4", "-think", "50ms", "-duration",
			"2950ms")
		// Four workers, ten rounds a second each.
		if len(lines) != 3 || !strings.Contains(lines[0], "  40.0/s  p50 50") ||
			!strings.Contains(lines[1], "errors 0 (0.00 %)") {
			t.Errorf("%q", lines)
		}
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, "total of 2.95s:") ||
			strings.Contains(last, "missed") {
			t.Errorf("%q", last)
		}
	})
}

func TestAnOpenLoopKeepsItsRateAndSaysWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 199 turns in 2.005 s.
		lines := report(t.Context(), t, takes(10*time.Millisecond), "-rate", "100", "-workers", "4", "-duration",
			"2005ms", "-quiet")
		if len(lines) != 1 || !strings.Contains(lines[0], "  99.3/s") || strings.Contains(lines[0], "missed") {
			t.Errorf("enough workers: %q", lines)
		}
		lines = report(t.Context(), t, takes(99*time.Millisecond), "-rate", "100", "-workers", "4", "-duration",
			"995ms", "-quiet")
		// Each of four workers is free for one turn in ten, of 99.
		if len(lines) != 1 || !strings.Contains(lines[0], "missed 59,") {
			t.Errorf("too few workers: %q", lines)
		}
	})
}

func TestErrorsAreWhatUsersSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		lines := report(t.Context(), t, func(w http.ResponseWriter, r *http.Request) {
			n++
			switch n % 4 {
			case 1:
				w.WriteHeader(http.StatusInternalServerError)
			case 2:
				panic(http.ErrAbortHandler)
			case 3:
				select {
				case <-time.After(time.Minute):
				case <-r.Context().Done():
				}
			}
		}, "-workers", "1", "-think", "100ms", "-timeout", "1s", "-duration", "10s", "-quiet")
		text := strings.Join(lines, "\n")
		for _, want := range []string{"× status 500", "× connection broken", "× timeout"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
	})
}

func TestAnInterruptEndsWithASummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(2500*time.Millisecond, interrupt)
		lines := report(ctx, t, takes(400*time.Millisecond), "-workers", "2", "-think", "100ms")
		// Requests at 0, 0.5, … 2.0 s are answered; those that the end meets do not count.
		if last := lines[len(lines)-1]; len(lines) != 3 || !strings.HasPrefix(last, "total of 2.5s:    4.0/s") ||
			!strings.Contains(last, "errors 0") {
			t.Errorf("%q", lines)
		}
	})
}

func TestQuantilesAreRightToOnePercent(t *testing.T) {
	var all, half tally
	for ms := 1; ms <= 1000; ms++ {
		half.add(time.Duration(ms)*time.Millisecond, "")
		if ms%2 == 0 {
			all.merge(half)
			half = tally{}
		}
	}
	for q, want := range map[float64]float64{0.5: 500, 0.95: 950, 0.99: 990, 1: 1000} {
		if got := float64(all.quantile(q).Microseconds()) / 1000; got < want*0.989 || got > want*1.011 {
			t.Errorf("quantile %v is %v ms, want %v", q, got, want)
		}
	}
	if empty := (&tally{}).line(time.Second); empty != "no answers" {
		t.Errorf("without answers: %q", empty)
	}
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-url", "localhost:80"}, {"-workers", "0"}, {"-rate", "-1"}, {"-rate", "NaN"},
		{"-duration", "-1s"}, {"-timeout", "0"}, {"more"}, {"-nonsense"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
