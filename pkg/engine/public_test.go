package engine

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// say writes a person's word on the status page.
func (s *stage) say(t *testing.T, id string, w incident.PublicAction) {
	t.Helper()
	t.Helper()
	w.At = time.Now()
	s.patch(id, incident.ResponderActions{Public: w})
}

// The word reaches the receivers within seconds, also once the incident is over,
// and is in the record once.
func TestAWordOnTheStatusPageReachesTheReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		sick := true
		s.sick = sickWhile(func(*world) bool { return sick })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		s.start(ctx, done)
		s.engine.Wake("shop")
		time.Sleep(time.Minute)
		id := s.only().ID
		s.say(t, id, incident.PublicAction{Attribution: incident.Attribution{By: "alice"}, Publish: true})
		time.Sleep(15 * time.Second)
		if w := s.only().Public; !w.Publish || w.By != "alice" {
			t.Errorf("while it goes on: %+v", w)
		}
		s.mu.Lock()
		sick = false
		s.mu.Unlock()
		s.engine.Wake("shop")
		time.Sleep(time.Minute)
		if p := s.only().Phase; p != incident.Resolved {
			t.Fatal(p)
		}
		until := time.Now().Add(time.Hour)
		s.say(t, id, incident.PublicAction{Attribution: incident.Attribution{By: "bob"}, Publish: true, HoldUntil: until})
		time.Sleep(15 * time.Second)
		if w := s.only().Public; !w.HoldUntil.Equal(until) {
			t.Errorf("once it is over: %+v", w)
		}
		time.Sleep(time.Hour)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range s.audits {
			if r.Kind == "status page" {
				n++
			}
		}
		if n != 2 || !s.audited("publication approved, by alice") || !s.audited("by bob") {
			t.Errorf("%d records", n)
		}
	})
}

func TestDriftOfThePublicPageIsOnePage_W15(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.sick = sickWhile(func(*world) bool { return false })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		s.start(ctx, done)
		time.Sleep(time.Minute)
		for range 10 {
			s.engine.Drifted("the status page says operational")
			time.Sleep(2 * time.Minute)
		}
		own := s.only()
		if own.Target.Name != Self || !own.Paged || !strings.Contains(own.Title(),
			"drift (the status page says operational)") {
			t.Errorf("%s, paged %v", own.Title(), own.Paged)
		}
		s.engine.Drifted("")
		time.Sleep(time.Minute)
		if p := s.only().Phase; p != incident.Resolved {
			t.Error(p)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
