package demo

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Load is a closed loop of workers that use the application as its users would.
type Load struct {
	url    string
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	took []time.Duration
	bad  int
}

// StartLoad sends requests to url from the given number of workers, each
// pausing think between two requests, more or less: users do not march in step.
// Every request is a new connection, because the testbed balances connections.
func StartLoad(url string, workers int, think time.Duration) *Load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{url: url, ctx: ctx, cancel: cancel, client: &http.Client{Timeout: 5 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true}}}
	l.Add(workers, think)
	return l
}

// Add starts further workers.
func (l *Load) Add(workers int, think time.Duration) {
	for range workers {
		l.wg.Go(func() {
			for {
				select {
				case <-time.After(rand.N(2 * think)):
				case <-l.ctx.Done():
					return
				}
				l.request()
			}
		})
	}
}

// Stop ends the load and waits for its workers.
func (l *Load) Stop() {
	l.cancel()
	l.wg.Wait()
}

// Seen is what users saw since the last call.
type Seen struct {
	Requests int
	Errors   int
	P95      time.Duration
}

// Seen returns and forgets what users saw.
func (l *Load) Seen() Seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Seen{Requests: len(l.took), Errors: l.bad}
	slices.Sort(l.took)
	if n := len(l.took); n > 0 {
		s.P95 = l.took[min(n-1, n*95/100)]
	}
	l.took, l.bad = nil, 0
	return s
}

func (l *Load) request() {
	start := time.Now()
	req, err := http.NewRequestWithContext(l.ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return
	}
	resp, err := l.client.Do(req)
	if l.ctx.Err() != nil {
		return
	}
	bad := err != nil
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		bad = resp.StatusCode >= 500
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, time.Since(start))
	if bad {
		l.bad++
	}
}
