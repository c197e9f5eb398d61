package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// run sends requests until ctx or the duration ends, and reports to out.
func run(ctx context.Context, o options, client *http.Client, out io.Writer) {
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	start := time.Now()
	l := &load{options: o, client: client}
	var workers sync.WaitGroup
	turns := make(chan struct{})
	if o.rate > 0 {
		workers.Go(func() { l.schedule(ctx, turns) })
	}
	for range o.workers {
		workers.Go(func() {
			if o.rate > 0 {
				l.onTurn(ctx, turns)
			} else {
				l.loop(ctx)
			}
		})
	}
	total := l.report(ctx, out)
	took := time.Since(start)
	workers.Wait()
	total.merge(l.take())
	fmt.Fprintf(out, "total of %s: %s\n", took.Round(time.Millisecond), total.line(took))
	for _, e := range total.reasons() {
		fmt.Fprintln(out, "  "+e)
	}
}

// load is what the workers share.
type load struct {
	options
	client *http.Client

	mu   sync.Mutex
	seen tally
}

// loop is a user that waits for each answer.
func (l *load) loop(ctx context.Context) {
	think := time.NewTimer(0)
	defer think.Stop()
	for {
		select {
		case <-think.C:
		case <-ctx.Done():
			return
		}
		l.send(ctx)
		think.Reset(l.think)
	}
}

// onTurn sends a request for each turn that it gets.
func (l *load) onTurn(ctx context.Context, turns <-chan struct{}) {
	for {
		select {
		case <-turns:
			l.send(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// schedule gives the rate's turns at their times. A turn that no worker is free
// to take is counted as missed and not made up for: the rate is a bound.
func (l *load) schedule(ctx context.Context, turns chan<- struct{}) {
	start := time.Now()
	wait := time.NewTimer(0)
	defer wait.Stop()
	for n := 1; ; n++ {
		wait.Reset(time.Until(start.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))))
		select {
		case <-wait.C:
		case <-ctx.Done():
			return
		}
		select {
		case turns <- struct{}{}:
		default:
			l.mu.Lock()
			l.seen.missed++
			l.mu.Unlock()
		}
	}
}

// send makes one request. One that the end of the load cuts off does not count.
func (l *load) send(ctx context.Context) {
	start := time.Now()
	reason := l.request(ctx)
	took := time.Since(start)
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen.add(took, reason)
}

// request returns what went wrong for the user, or "".
func (l *load) request(ctx context.Context) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return reasonOf(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return reasonOf(err)
	}
	if resp.StatusCode >= 400 {
		return fmt.Sprint("status ", resp.StatusCode)
	}
	return ""
}

// report prints a line each second until ctx ends, and returns the sum.
func (l *load) report(ctx context.Context, out io.Writer) tally {
	var total tally
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return total
		case now := <-second.C:
			t := l.take()
			total.merge(t)
			if !l.quiet {
				fmt.Fprintln(out, now.Format(time.TimeOnly), t.line(time.Second))
			}
		}
	}
}

// take returns and forgets what was seen.
func (l *load) take() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.seen
	l.seen = tally{}
	return t
}
