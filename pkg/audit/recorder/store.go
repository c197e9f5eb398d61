package recorder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/redact"
)

// notedAfter is how often the log is anchored in the ledger, at most.
const notedAfter = time.Minute

// Store is the engine's store with what belongs to each write: no secret is stored, and the
// ledger notes how far the record has come.
type Store struct {
	engine.Store
	r        *Recorder
	now      func() time.Time
	answered atomic.Int64 // when the ledger last answered, in milliseconds
	unstored unstored

	// Of Note, which one goroutine calls.
	noted   uint64
	notedAt time.Time
}

// Store returns a store whose ledger anchors this record.
func (r *Recorder) Store(inner engine.Store, now func() time.Time) *Store {
	return &Store{Store: inner, r: r, now: now}
}

// Answered is when the ledger was last read.
func (s *Store) Answered() time.Time { return time.UnixMilli(s.answered.Load()) }

// SaveIncident implements engine.Store.
func (s *Store) SaveIncident(ctx context.Context, inc incident.Incident, version string) (string, error) {
	version, err := s.Store.SaveIncident(ctx, redact.Value(s.r.o.Secrets, inc), version)
	if ctx.Err() == nil { // else this replica ceased to lead
		s.unstored.take(inc.ID, err, s.now())
	}
	return version, err
}

// Unstored says which incident could not be stored for a minute, and why; empty: all could.
func (s *Store) Unstored() string { return s.unstored.why(s.now()) }

// SwapLedger notes in the ledger, too, how far the audit record has come: each op's
// records are so anchored outside their folder, without a request of their own.
func (s *Store) SwapLedger(ctx context.Context, l incident.Ledger, version string) (string, error) {
	if tip := s.r.log.Tip(); tip.Seq > 0 {
		l = l.WithAnchor(tip.Log, incident.Anchor{Seq: tip.Seq, Hash: tip.Hash, Key: tip.Key,
			At: time.Now().UTC().Truncate(time.Second)})
	}
	return s.Store.SwapLedger(ctx, l, version)
}

// Ledger implements engine.Store.
func (s *Store) Ledger(ctx context.Context) (incident.Ledger, string, error) {
	l, version, err := s.Store.Ledger(ctx)
	if err == nil {
		s.answered.Store(s.now().UnixMilli())
	}
	return l, version, err
}

// Note notes outside its folder how far the record has come, if that is news.
func (s *Store) Note(ctx context.Context) {
	tip, now := s.r.log.Tip(), s.now()
	if tip.Seq == s.noted || now.Sub(s.notedAt) < notedAfter {
		return
	}
	s.notedAt = now
	l, version, err := s.Ledger(ctx)
	if err == nil {
		_, err = s.SwapLedger(ctx, l, version)
	}
	if errors.Is(err, incident.ErrConflict) {
		return // somebody else wrote it: tried again in a minute
	}
	if err != nil {
		s.r.o.Logger.Warn("could not anchor the audit log in the ledger; will retry in a minute",
			"err", err)
		return
	}
	s.noted = tip.Seq
	s.r.o.Logger.Info("audit record", "log", tip.Log, "seq", tip.Seq, "hash", tip.Hash, "key", cmp.Or(tip.Key, "none"))
}

// Check holds the record against what the ledger noted of it, and says why it cannot be
// trusted; empty: it can.
func (s *Store) Check(ctx context.Context) (why string, err error) {
	l, _, err := s.Ledger(ctx)
	if errors.Is(err, incident.ErrNewer) {
		return "", nil // whoever leads then only watches
	}
	if err != nil {
		return "", fmt.Errorf("read the audit log anchor from the ledger: %w", err)
	}
	var tips []audit.Tip
	for log, x := range l.Anchors {
		tips = append(tips, audit.Tip{Log: log, Seq: x.Seq, Hash: x.Hash, Key: x.Key})
	}
	if why, err = s.r.log.Verify(tips...); err != nil {
		return "", fmt.Errorf("read the audit log: %w", err)
	}
	return why, nil
}
