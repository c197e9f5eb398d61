package engine

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/remediate"
)

func TestEachRolloutIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.sick = sickWhile(func(*world) bool { return false })
		roll := func(name string, number int64) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.template, s.version = name, s.version+1
			s.revisions = append([]remediate.Revision{{Number: number, UID: "rs-" + name, Name: "shop-" + name, CreatedAt: time.Now(), Template: tmpl(name)}}, s.revisions...)
		}
		told := func(when string, want ...string) {
			t.Helper()
			play(t, s, time.Minute)
			s.mu.Lock()
			defer s.mu.Unlock()
			if !slices.Equal(s.released, want) {
				t.Errorf("%s: told of %q, want %q", when, s.released, want)
			}
		}
		told("what was there when watchdog came is no news")
		time.AfterFunc(20*time.Second, func() { roll("two", 2) })
		told("a rollout while it runs", "rs-two")
		told("a restart", "rs-two")
		roll("three", 3)
		told("a rollout while it was down", "rs-two", "rs-three")
	})
}
