package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/decision"
	"watchdog.io/watchdog/pkg/incident"
)

const (
	// recordLook is how soon it is seen that the audit record cannot be written, and
	// that it can again.
	recordLook = 2 * time.Second
	// recordNoted is how often the ledger and the log are told, at most, how far it has come.
	recordNoted = time.Minute
)

// record is the audit record of this replica: what cannot be recorded must not be
// done, so a replica whose disk takes nothing neither leads nor is ready.
type record struct {
	log   interface{ Try() error } // an *audit.Log
	store engineStore

	mu      sync.Mutex
	why     error
	changed chan struct{} // closed, and replaced, when why becomes nil or ceases to be
	noted   uint64
	notedAt time.Time
}

func (a *App) openRecord() error {
	var keys audit.Keys
	if a.o.AuditKeys != "" {
		var err error
		if keys, err = audit.ReadKeys(a.o.AuditKeys); err != nil {
			return err
		}
	}
	log, err := audit.Open(a.o.auditDir(), keys)
	if err != nil {
		return err
	}
	a.log, a.record.log, a.record.changed = log, log, make(chan struct{})
	f := promauto.With(a.registry)
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "watchdog", Name: "audit_writable", Help: "1 while the audit record can be written: what cannot be recorded is not done."}, func() float64 {
		if a.record.closed() != nil {
			return 0
		}
		return 1
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "watchdog", Name: "audit_sequence", Help: "Number of the last record of the audit record."}, func() float64 { return float64(log.Tip().Seq) })
	if log.Damage() != "" {
		a.o.Logger.Error("watchdog only watches from now on", "reason", log.Damage())
	}
	return nil
}

// closed says why nothing can be recorded; nil: it can.
func (r *record) closed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why
}

// look tries the record, and reports whether that is news.
func (r *record) look() (why error, news bool) {
	why = r.log.Try()
	r.mu.Lock()
	defer r.mu.Unlock()
	news = (why == nil) != (r.why == nil)
	if r.why = why; news {
		close(r.changed)
		r.changed = make(chan struct{})
	}
	return why, news
}

// await returns once the record can be written, with a context that ends when it cannot
// any more. It reports false when ctx ended before.
func (r *record) await(ctx context.Context) (context.Context, context.CancelFunc, bool) {
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

// keepRecord looks after the audit record until ctx ends.
func (a *App) keepRecord(ctx context.Context) {
	tick := time.NewTicker(recordLook)
	defer tick.Stop()
	for {
		switch why, news := a.record.look(); {
		case news && why != nil:
			a.o.Logger.Error("the audit record cannot be written: this replica does not lead until it can", "err", why)
		case news:
			a.o.Logger.Info("the audit record can be written again")
		case why == nil && a.leading.Load():
			a.noteRecord(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// noteRecord notes outside its folder how far the record has come, if that is news.
func (a *App) noteRecord(ctx context.Context) {
	r, tip, now := &a.record, a.log.Tip(), a.clock.Now()
	if tip.Seq == r.noted || now.Sub(r.notedAt) < recordNoted {
		return
	}
	r.notedAt = now
	l, version, err := r.store.Ledger(ctx)
	if err == nil {
		_, err = r.store.SwapLedger(ctx, l, version)
	}
	if errors.Is(err, incident.ErrConflict) {
		return // somebody else wrote it: tried again in a minute
	}
	if err != nil {
		a.o.Logger.Warn("the ledger was not told how far the audit record has come; tried again in a minute", "err", err)
		return
	}
	r.noted = tip.Seq
	a.o.Logger.Info("audit record", "log", tip.Log, "seq", tip.Seq, "hash", tip.Hash, "key", cmp.Or(tip.Key, "none"))
}

// checkRecord holds the audit record against what the ledger noted of it.
func (a *App) checkRecord(ctx context.Context) error {
	l, _, err := a.record.store.Ledger(ctx)
	if errors.Is(err, incident.ErrNewer) {
		return nil // whoever leads then only watches
	}
	if err != nil {
		return fmt.Errorf("read what the ledger noted of the audit record: %w", err)
	}
	var tips []audit.Tip
	for log, x := range l.Anchors {
		tips = append(tips, audit.Tip{Log: log, Seq: x.Seq, Hash: x.Hash, Key: x.Key})
	}
	why, err := a.log.Verify(tips...)
	if err != nil {
		return fmt.Errorf("read the audit record: %w", err)
	}
	if why != "" {
		a.engine.Distrust(why)
	}
	return nil
}

// recorded records that a configuration is taken up.
func (a *App) recorded(cfg *config.Config, b *built) error {
	return a.noted(audit.Record{At: a.clock.Now(), Kind: "config", Actor: "watchdog", Text: fmt.Sprintf("configuration %s is taken up: mode %s, %d targets, %d thresholds, %d rule groups", cmp.Or(cfg.Hash, "-"), cfg.Mode, len(cfg.Targets), len(cfg.Thresholds), len(b.Groups)), Data: decision.Begun()})
}
