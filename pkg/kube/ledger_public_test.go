package kube

import (
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// A release leaves nothing of the hold before it, and the daemon's writes leave
// the word alone.
func TestAWordOnTheStatusPageReplacesTheOneBefore(t *testing.T) {
	_, c := newAPI(t)
	s := NewStore(c, "watchdog")
	until := time.Date(2026, 1, 1, 13, 0, 0, 0, time.UTC)
	if err := s.Publish(t.Context(), "a", incident.PublicWord{Attribution: incident.Attribution{By: "alice",
		Reason: "r"}, Publish: true, HoldUntil: until}, nil); err != nil {
		t.Fatal(err)
	}
	l, version, err := s.Ledger(t.Context())
	if w := l.Public["a"]; err != nil || !w.HoldUntil.Equal(until) || !w.Publish || w.By != "alice" || w.At.IsZero() {
		t.Fatalf("%+v, %v", w, err)
	}
	if _, err := s.SwapLedger(t.Context(), l, version); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), "a", incident.PublicWord{Attribution: incident.Attribution{By: "bob"}},
		nil); err != nil {
		t.Fatal(err)
	}
	if l, _, err = s.Ledger(t.Context()); err != nil || !l.Public["a"].HoldUntil.IsZero() || l.Public["a"].Publish ||
		l.Public["a"].Reason != "" {
		t.Fatalf("%+v, %v", l.Public, err)
	}
	if err := s.Publish(t.Context(), "b", incident.PublicWord{Publish: true}, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if l, _, err = s.Ledger(t.Context()); err != nil || len(l.Public) != 1 {
		t.Fatalf("%+v, %v", l.Public, err)
	}
}
