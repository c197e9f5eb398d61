//go:build !race

// These tests play many worlds. The race detector makes them ten times slower, and finds in the
// worlds of the other tests what there is to find; make sim runs these.

package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/sim"
)

// TestTheShippedRulesCureWhatTheyShouldAndLeaveTheRest plays the runbook's table as
// shipped, allowed to act.
func TestTheShippedRulesCureWhatTheyShouldAndLeaveTheRest(t *testing.T) {
	r, code := simulate(t, "--config", "../../configs/minimal.yaml", "--mode", "auto")
	if code != 0 || len(r.Outcomes) != len(sim.Catalogue()) {
		t.Errorf("exit %d, %d outcomes", code, len(r.Outcomes))
	}
	for _, tc := range []struct {
		failure, actions string
		well, paged      bool
	}{
		{"crashing release", "rollback", true, false},
		{"database down", "", true, true}, // it ends by itself, after an hour
		{"glitch", "", true, false},
		{"database blip", "", true, false},
		{"good release", "", true, false},
		{"quiet night", "", true, false},
		{"monitoring blind", "", true, false},
		{"bad release, nothing good known", "", false, true},
		{"bad release, Argo CD owns it", "", false, true},
		{"bad release, held by a person", "", false, true}, // INV-65: after guards.hold_limit
	} {
		if o := outcome(t, r, tc.failure); actions(o) != tc.actions || o.Well != tc.well || o.Paged != tc.paged {
			t.Errorf("%s: did %q, well %v, paged %v: %s (%s)", tc.failure, actions(o), o.Well, o.Paged, o.Verdict,
				o.Why)
		}
	}
	for _, failure := range []string{"bad release", "bad release, leader killed", "bad release, then blind"} {
		if o := outcome(t, r, failure); actions(o) != "rollback" || !o.Well {
			t.Errorf("%s: did %q, well %v: %s", failure, actions(o), o.Well, o.Why)
		}
	}
	if o := outcome(t, r, "overload"); !strings.HasPrefix(actions(o), "scale") || !o.Well || o.Paged {
		t.Errorf("overload: did %q, well %v", actions(o), o.Well)
	}
}

// Rollback at most three minutes after the fault, and nobody is woken for what a remedy
// has ended, nor for what passes by itself.
func TestTheShippedFileIsQuickAndQuiet_A0_X92_X93(t *testing.T) {
	r, code := simulate(t, "--config", "../../configs/watchdog.yaml", "--mode", "auto")
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, o := range r.Outcomes {
		if o.Verdict == "cured, then a needless page" {
			t.Errorf("%s: %s: %s", o.Failure, o.Verdict, o.PageReason)
		}
	}
	for _, name := range []string{"bad release", "bad release, leader killed"} {
		if o := outcome(t, r, name); actions(o) != "rollback" || o.Paged ||
			time.Duration(o.Actions[0].After) > 3*time.Minute {
			t.Errorf("%s: did %q after %s, paged %v", name, actions(o), o.Actions[0].After, o.Paged)
		}
	}
	if o := outcome(t, r, "release that is never ready"); actions(o) != "rollback" || !o.Well || o.Paged {
		t.Errorf("X30: did %q, well %v, paged %v: %s", actions(o), o.Well, o.Paged, o.Verdict)
	}
	if o := outcome(t, r, "memory leak in one pod"); o.Rule != "memory" || o.Would != "would restart" {
		t.Errorf("X95: %s fired, %q: %s", o.Rule, o.Would, o.Verdict)
	}
	for _, name := range []string{"glitch", "database blip", "good release", "quiet night"} {
		if o := outcome(t, r, name); o.Paged || len(o.Actions) > 0 {
			t.Errorf("%s: did %q, paged %v: %s", name, actions(o), o.Paged, o.PageReason)
		}
	}
}

func TestTheSameSeedGivesTheSameStory(t *testing.T) {
	args := []string{"--config", "../../configs/probes.yaml", "--mode", "auto", "--failure",
		"bad release, leader killed", "--failure", "flapping", "--trace", "-o", "json"}
	one, _ := simulateText(t, args...)
	two, _ := simulateText(t, args...)
	if one != two || !strings.Contains(one, "killed") {
		t.Errorf("two stories of one seed:\n%s\n%s", one, two)
	}
}

func TestRandomWorldsKeepEveryPromiseWithAPolicyOfOnesOwn(t *testing.T) {
	text, code := simulateText(t, "--config", "../../configs/watchdog.yaml", "--mode", "auto", "--incidents", "10")
	if code != 0 || !regexp.MustCompile(`violations +0\n`).MatchString(text) {
		t.Errorf("exit %d:\n%s", code, text)
	}
}
