// Package recorder keeps the audit record of one replica: it appends to it, tries whether it
// can be written, and notes in the ledger how far it has come.
//
// It owns whether this replica may work: what cannot be recorded must not be done, so one
// whose disk takes nothing neither leads nor is ready. The record itself is pkg/audit's, and
// what a leader does when the record was tampered with, the engine's.
//
// Its one rule: no secret that this process has read is recorded or stored.
package recorder

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/redact"
)

// Every is how soon it is seen that the audit record cannot be written, and that it can again.
const Every = 2 * time.Second

// Options say where the record is.
type Options struct {
	Dir        string
	KeysFile   string // the keys that it is sealed with; empty: none
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Secrets    *redact.Known
}

// Recorder is the audit record of this replica.
type Recorder struct {
	o    Options
	log  *audit.Log
	test func() error // whether the log can be written

	mu      sync.Mutex
	why     error
	changed chan struct{} // closed, and replaced, when why becomes nil or ceases to be
}

// Open opens the record.
func Open(o Options) (*Recorder, error) {
	var keys audit.Keys
	if o.KeysFile != "" {
		var err error
		if keys, err = audit.ReadKeys(o.KeysFile); err != nil {
			return nil, err
		}
	}
	log, err := audit.Open(o.Dir, keys)
	if err != nil {
		return nil, err
	}
	r := &Recorder{o: o, log: log, test: log.Try, changed: make(chan struct{})}
	f := promauto.With(o.Registerer)
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "watchdog", Name: "audit_writable",
		Help: "1 while the audit log can be written; without it watchdog takes no action."}, func() float64 {
		if r.Closed() != nil {
			return 0
		}
		return 1
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "watchdog", Name: "audit_sequence",
		Help: "Sequence number of the last record of the audit log."}, func() float64 { return float64(log.Tip().Seq) })
	if log.Damage() != "" {
		o.Logger.Error("watchdog takes no further actions", "reason", log.Damage())
	}
	return r, nil
}

// Append appends to the record, all or none.
func (r *Recorder) Append(all ...audit.Record) error {
	hidden := make([]audit.Record, 0, len(all))
	for _, x := range all {
		hidden = append(hidden, redact.Value(r.o.Secrets, x))
	}
	_, err := r.log.AppendAll(hidden...)
	return err
}

// Damage says that the record was damaged when it was opened; empty: it was not.
func (r *Recorder) Damage() string { return r.log.Damage() }

// Close closes the record.
func (r *Recorder) Close() error { return r.log.Close() }

// Closed says why nothing can be recorded; nil: it can.
func (r *Recorder) Closed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why
}

// Look tries the record, and reports whether it can be written as before.
func (r *Recorder) Look() bool {
	switch news, why := r.try(); {
	case news && why != nil:
		r.o.Logger.Error("the audit log is not writable: this replica cannot lead until it is", "err", why)
	case news:
		r.o.Logger.Info("the audit log is writable again")
	default:
		return why == nil
	}
	return false
}

// try tries the record, and reports whether what it finds is news.
func (r *Recorder) try() (news bool, why error) {
	why = r.test()
	r.mu.Lock()
	defer r.mu.Unlock()
	news = (why == nil) != (r.why == nil)
	if r.why = why; news {
		close(r.changed)
		r.changed = make(chan struct{})
	}
	return news, why
}

// Await returns once the record can be written, with a context that ends when it cannot
// any more. It reports false when ctx ended before.
func (r *Recorder) Await(ctx context.Context) (context.Context, context.CancelFunc, bool) {
	for {
		r.mu.Lock()
		why, changed := r.why, r.changed
		r.mu.Unlock()
		if why == nil {
			writable, cancel := context.WithCancel(ctx)
			go func() {
				select {
				case <-changed:
					cancel()
				case <-writable.Done():
				}
			}()
			return writable, cancel, ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return ctx, func() {}, false
		case <-changed:
		}
	}
}
