package main

import (
	"context"
	"errors"
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
		workers.Go(func() { l.work(ctx, turns) })
	}
	total := l.report(ctx, out)
	workers.Wait()
	total.merge(l.take())
	fmt.Fprintf(out, "total %s: %s\n", time.Since(start).Round(time.Millisecond), total.line(time.Since(start)))
}

// load is what the workers share.
type load struct {
	options
	client *http.Client

	mu   sync.Mutex
	seen tally
}

// work is one user. Requests that the end of the load cuts off do not count.
func (l *load) work(ctx context.Context, turns <-chan struct{}) {
	for l.turn(ctx, turns) {
		start := time.Now()
		err := l.request(ctx)
		if ctx.Err() != nil {
			return
		}
		took := time.Since(start)
		l.mu.Lock()
		l.seen.add(took, err)
		l.mu.Unlock()
	}
}

// turn waits until the worker may send, and reports whether there is an end.
func (l *load) turn(ctx context.Context, turns <-chan struct{}) bool {
	if l.rate > 0 {
		select {
		case <-turns:
			return true
		case <-ctx.Done():
			return false
		}
	}
	if ctx.Err() != nil {
		return false
	}
	if l.seenAny() {
		return pause(ctx, l.think)
	}
	return true
}
