package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/maintenance"
)

func TestAMomentIsReadAsPeopleWriteIt(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-03-01T01:00:00+01:00": time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), "2026-03-01 01:00": time.Date(2026, 3, 1, 1, 0, 0, 0, time.UTC),
		"13:30": t0.Add(90 * time.Minute), "12:00": t0.AddDate(0, 0, 1), "01:00": t0.Add(13 * time.Hour),
	} {
		if got, err := moment1(text, t0); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	if _, err := moment1("tomorrow", t0); err == nil {
		t.Error("tomorrow is taken")
	}
}

func TestTheChecklistIsGoneThrough(t *testing.T) {
	open := unmet(checklist(maintenance.Spec{Communicated: "https://slack.example/p1", Standby: []string{"bob", "eve"}}))
	if len(open) != 2 || !strings.Contains(open[0], "backup") || !strings.Contains(open[1], "rollback") || !strings.Contains(open[0], "not known") {
		t.Errorf("%q: what nothing tells of is not met", open)
	}
	rows := checklist(maintenance.Spec{})
	if open := unmet(rows); len(open) != 4 {
		t.Errorf("%q", open)
	}
	var b bytes.Buffer
	if err := printChecklist(&b, rows); err != nil || !strings.Contains(b.String(), "window communicated") || !strings.Contains(b.String(), "NOT KNOWN") {
		t.Errorf("%v:\n%s", err, b.String())
	}
}

func TestAWindowIsMadeFromTheFlags(t *testing.T) {
	ok := starting{length: 2 * time.Hour, reason: "move", targets: []string{"shop"}, page: "hold", remediate: "off"}
	spec, err := ok.spec("db", t0)
	if err != nil || !spec.From.Equal(t0) || !spec.Until.Equal(t0.Add(2*time.Hour)) || spec.Page != maintenance.PageHold {
		t.Fatalf("%+v, %v", spec, err)
	}
	for name, change := range map[string]func(*starting){
		"needs --for": func(s *starting) { s.length = 0 }, "needs --reason": func(s *starting) { s.reason = " " }, "page: unknown value": func(s *starting) { s.page = "off" },
		"is no time": func(s *starting) { s.at = "soon" }, "would be over": func(s *starting) { s.at = "2025-12-31 01:00" }, "longer than 31 days": func(s *starting) { s.length = 32 * 24 * time.Hour },
		"needs --public-name": func(s *starting) { s.publicBody = "x" },
	} {
		s := ok
		change(&s)
		if _, err := s.spec("db", t0); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ok.spec("Not_A_Name", t0); err == nil {
		t.Error("any name is taken")
	}
}

func shown() []window {
	w := maintenance.Window{Name: "db", From: t0, Until: t0.Add(time.Hour), Targets: []string{"shop"}, Effects: maintenance.Effects{Page: maintenance.PageHold, Remediate: maintenance.RemediateOff, Deploy: maintenance.DeployForbidden}, By: "alice", Reason: "move"}
	return []window{{Name: w.Name, Kind: "once", Phase: maintenance.Active, From: w.From, Until: w.Until, Targets: w.Targets, Effects: w.Effects, By: w.By, Reason: w.Reason,
		Status: &maintenance.Status{Pages: maintenance.Account{Held: []string{"01a"}, Resolved: 2}}, effective: &w}}
}

func TestWindowsAreShown(t *testing.T) {
	for output, want := range map[string][]string{
		"table": {"db    once  active  2026-01-01 12:00 UTC  2026-01-01 13:00 UTC  shop     page=hold remediate=off deploy=forbidden  1 (0 told, 2 well again)  alice  move"},
		"json":  {`"name": "db"`, `"phase": "active"`, `"page": "hold"`},
		"yaml":  {"name: db", "phase: active", "page: hold"},
	} {
		var b bytes.Buffer
		if err := printWindows(&b, shown(), output); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%s: no %q in\n%s", output, w, b.String())
			}
		}
	}
	var b bytes.Buffer
	if err := status(&b, "watchdog-0", incident.Ledger{}, nil, t0, shown()...); err != nil || !strings.Contains(b.String(), "maintenance db: active, 2026-01-01 12:00 UTC to 2026-01-01 13:00 UTC, shop: move (page=hold remediate=off deploy=forbidden)") {
		t.Errorf("%v:\n%s", err, b.String())
	}
}

func TestTheAnswerToADeployIsTheExitStatus(t *testing.T) {
	var b bytes.Buffer
	err := mayDeploy(&b, effective(shown()), []string{"shop", "cart"}, t0.Add(10*time.Minute))
	if err == nil || exitCode(err) != exitFailed || !strings.Contains(b.String(), "shop: NO: window db forbids") || !strings.Contains(b.String(), "cart: yes:") {
		t.Errorf("%v:\n%s", err, b.String())
	}
	if err := mayDeploy(&b, effective(shown()), []string{"cart"}, t0); err != nil {
		t.Error(err)
	}
	b.Reset()
	showStates(&b, effective(shown()), []string{"shop", "cart"}, t0.Add(18*time.Minute))
	for _, want := range []string{"shop: in maintenance until 13:00 UTC, 42m left, by alice: move", "page       held by window db", "remediate  off, by window db", "deploy     NO", "cart: in no maintenance window"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
