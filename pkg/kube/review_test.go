package kube

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
)

func TestReviewsAreKeptOnceEachAndReplacedOnlyUnderTheirVersion(t *testing.T) {
	_, c := newAPI(t)
	s := NewStore(c, "watchdog")
	if text, version, err := s.Review(t.Context(), "01k3"); text != nil || version != "" || err != nil {
		t.Fatalf("got %s, %q, %v", text, version, err)
	}
	if err := s.SaveReview(t.Context(), "01k3", json.RawMessage(`{"impact":"none"}`), ""); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveReview(t.Context(), "01k3", json.RawMessage(`{}`), ""); !errors.Is(err, incident.ErrConflict) {
		t.Errorf("a second one was made: %v", err)
	}
	text, version, err := s.Review(t.Context(), "01k3")
	if d := cmp.Diff(`{"impact":"none"}`, string(text)); d != "" || err != nil {
		t.Fatal(d, err)
	}
	if err := s.SaveReview(t.Context(), "01k3", json.RawMessage(`{"impact":"some"}`), version); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveReview(t.Context(), "01k3", json.RawMessage(`{"impact":"mine"}`), version); !errors.Is(err,
		incident.ErrConflict) {
		t.Errorf("what was read is not what is there: %v", err)
	}
	if _, _, err := s.Ledger(t.Context()); err != nil { // another ledger beside it
		t.Fatal(err)
	}
	all, err := s.Reviews(t.Context())
	if d := cmp.Diff(map[string]json.RawMessage{"01k3": json.RawMessage(`{"impact":"some"}`)}, all); d != "" ||
		err != nil {
		t.Error(d, err)
	}
}
