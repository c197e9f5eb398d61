package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// A selector that moves while watchdog rolls back is seen by nobody before the
// write: then the rollback took the endpoints away, and it is taken back.
func TestARollbackThatTookTheEndpointsAwayIsTakenBack_X20(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "rollback", "page")
		harmfulRollback(t, s)
		i := s.only()
		if got := s.accepted(); len(got) != 2 || got[1] != got[0]+"r" || s.template != "bad" {
			t.Fatalf("writes %v, template %s", got, s.template)
		}
		if len(i.Attempts) != 1 || i.Attempts[0].Verdict != incident.Harmed || !i.Paged ||
			!strings.Contains(i.PageReason, "Service shop has 0 ready endpoints") {
			t.Errorf("attempts %+v, page %q", i.Attempts, i.PageReason)
		}
		if !s.audited("revert the rollback of shop/deployment/shop") {
			t.Error("the record does not say that it was taken back")
		}
		l, _, err := s.Ledger(t.Context())
		if err != nil || len(l.Leases) > 0 || len(l.Ops) > 0 {
			t.Errorf("left in the ledger: %+v, %v", l, err)
		}
	})
}

// harmfulRollback plays a bad release, whose rollback takes the endpoints away.
func harmfulRollback(t *testing.T, s *stage) {
	t.Helper()
	s.services = func(w *world) []remediate.Service {
		n := 3
		if w.template == "good" && len(w.writes) > 0 {
			n = 0
		}
		return []remediate.Service{{Name: "shop", Ready: n}}
	}
	s.sick = sickWhile(func(w *world) bool { return w.template == "bad" })
	play(t, s, 3*time.Minute) // long enough to be recorded as good
	s.mu.Lock()
	s.template, s.version = "bad", s.version+1
	s.revisions = append([]remediate.Revision{{Number: 2, UID: "rs-bad", Name: "shop-2", CreatedAt: time.Now(),
		Template: tmpl("bad"), Images: []string{"shop:bad"}}}, s.revisions...)
	s.mu.Unlock()
	play(t, s, 2*time.Minute)
}

// The release had added something, so that an admission policy does not let watchdog go
// forward to it again: that is tried once, and is a person's.
func TestATakeBackThatAPolicyRefusesIsTriedOnce_S03(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.denies = incident.ActionRevert
		s := newStage(w, "rollback", "page")
		harmfulRollback(t, s)
		i := s.only()
		if s.denied != 1 || s.template != "good" || !i.Paged {
			t.Errorf("refused %d times, template %s, paged %v", s.denied, s.template, i.Paged)
		}
		if !s.audited("yielded the rollback was not reverted, revert it manually: an admission policy refuses it") {
			t.Error("the record does not say that it was not taken back")
		}
		l, _, err := s.Ledger(t.Context())
		if err != nil || len(l.Leases) > 0 || len(l.Ops) > 0 {
			t.Errorf("left in the ledger: %+v, %v", l, err)
		}
	})
}
