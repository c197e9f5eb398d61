package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance"
)

func TestAMomentIsReadAsPeopleWriteIt(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-03-01T01:00:00+01:00": time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), "2026-03-01 01:00": time.Date(2026, 3,
			1, 1, 0, 0, 0, time.UTC),
		"13:30": t0.Add(90 * time.Minute), "12:00": t0.AddDate(0, 0, 1), "01:00": t0.Add(13 * time.Hour),
	} {
		if got, err := parseTime(text, t0); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	if _, err := parseTime("tomorrow", t0); err == nil {
		t.Error("tomorrow is taken")
	}
}

func TestTheChecklistIsGoneThrough(t *testing.T) {
	helped := func(target string, action incident.Action, verdict incident.OpVerdict,
		ago time.Duration) incident.Incident {
		return incident.Incident{ID: "01" + target, Target: incident.Target{Name: target},
			Attempts: []incident.Attempt{{Action: action, Verdict: verdict, EndedAt: t0.Add(-ago)}}}
	}
	day := 24 * time.Hour
	good := proofs{now: t0, backups: []kube.CronSuccess{{Name: "shop/dump", At: t0.Add(-3 * time.Hour)}},
		incidents: []incident.Incident{helped("shop", "rollback", incident.Helped, 2*day),
			helped("cart", "rollback", incident.Helped, 29*day)}}
	spec := maintenance.Spec{Communicated: "https://slack.example/p1", Standby: []string{"bob", "eve"},
		Targets: []string{"shop", "cart"}}
	for name, tt := range map[string]struct {
		change func(*maintenance.Spec, *proofs)
		unmet  string
		says   string
	}{
		"all is well": {func(*maintenance.Spec, *proofs) {}, "", "shop/dump succeeded 3h0m0s ago"},
		"nobody was told": {func(s *maintenance.Spec, _ *proofs) { s.Communicated = " " },
			"window communicated: not met", "--communicated LINK"},
		"nobody stands by": {func(s *maintenance.Spec, _ *proofs) { s.Standby = nil }, "team on standby: not met",
			"--standby NAME"},
		"no CronJob is named": {func(_ *maintenance.Spec, p *proofs) { p.backups = nil },
			"backup completed, at most 24h ago: not known", "--backup NAMESPACE/CRONJOB"},
		"the backup is old": {func(_ *maintenance.Spec, p *proofs) {
			p.backups = []kube.CronSuccess{{Name: "shop/dump", At: t0.Add(-day - time.Minute)}}
		}, "backup completed, at most 24h ago: not met", "24h1m0s ago"},
		"one never succeeded": {func(_ *maintenance.Spec, p *proofs) {
			p.backups = append(slices.Clone(p.backups), kube.CronSuccess{Name: "cart/dump"})
		}, "backup completed, at most 24h ago: not met", "cart/dump has never succeeded"},
		"one from the future": {func(_ *maintenance.Spec, p *proofs) {
			p.backups = []kube.CronSuccess{{Name: "shop/dump", At: t0.Add(time.Hour)}}
		}, "backup completed, at most 24h ago: not met", "shop/dump"},
		"no rollback of one": {func(s *maintenance.Spec, _ *proofs) { s.Targets = append(s.Targets, "web") },
			"rollback tested, at most 30d ago: not met", "no successful rollback of web"},
		"an old rollback": {func(_ *maintenance.Spec, p *proofs) {
			p.incidents = []incident.Incident{helped("shop", "rollback", incident.Helped, day),
				helped("cart", "rollback", incident.Helped, 31*day)}
		}, "rollback tested, at most 30d ago: not met", "no successful rollback of cart"},
		"one that did not help": {func(s *maintenance.Spec, p *proofs) {
			s.Targets, p.incidents = []string{"shop"}, []incident.Incident{helped("shop", "rollback", incident.NoEffect,
				day)}
		}, "rollback tested, at most 30d ago: not met", "no successful rollback of shop"},
		"it was a restart": {func(s *maintenance.Spec, p *proofs) {
			s.Targets, p.incidents = []string{"shop"}, []incident.Incident{helped("shop", "restart", incident.Helped,
				day)}
		}, "rollback tested, at most 30d ago: not met", "no successful rollback of shop"},
		"all targets": {func(s *maintenance.Spec, _ *proofs) { s.Targets = nil }, "",
			"a rollback of any target helped on"},
	} {
		s, p := spec, good
		s.Targets = slices.Clone(spec.Targets)
		tt.change(&s, &p)
		rows := checklist(s, p)
		var b bytes.Buffer
		if err := printChecklist(&b, rows); err != nil || !strings.Contains(b.String(), tt.says) ||
			strings.Join(unmet(rows), "; ") != tt.unmet {
			t.Errorf("%s: not met is %q, want %q; it says (%v)\n%s", name, unmet(rows), tt.unmet, err, b.String())
		}
	}
}

func TestAWindowIsMadeFromTheFlags(t *testing.T) {
	ok := starting{length: 2 * time.Hour, reason: "move", targets: []string{"shop"}, page: "hold", remediate: "off"}
	spec, err := ok.spec("db", t0)
	if err != nil || !spec.From.Equal(t0) || !spec.Until.Equal(t0.Add(2*time.Hour)) ||
		spec.Page != maintenance.PageHold {
		t.Fatalf("%+v, %v", spec, err)
	}
	for name, change := range map[string]func(*starting){
		"--for is required":      func(s *starting) { s.length = 0 },
		"--reason is required":   func(s *starting) { s.reason = " " },
		"page: unknown value":    func(s *starting) { s.page = "off" },
		"invalid time":           func(s *starting) { s.at = "soon" },
		"already be over":        func(s *starting) { s.at = "2025-12-31 01:00" },
		"longer than 31 days":    func(s *starting) { s.length = 32 * 24 * time.Hour },
		"requires --public-name": func(s *starting) { s.publicBody = "x" },
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
	w := maintenance.Window{Name: "db", From: t0, Until: t0.Add(time.Hour), Targets: []string{"shop"},
		Effects: maintenance.Effects{Page: maintenance.PageHold, Remediate: maintenance.RemediateOff,
			Deploy: maintenance.DeployForbidden}, By: "alice", Reason: "move"}
	return []window{{Name: w.Name, Kind: "once", Phase: maintenance.Active, From: w.From, Until: w.Until,
		Targets: w.Targets, Effects: w.Effects, By: w.By, Reason: w.Reason,
		Status: &maintenance.Status{Pages: maintenance.Account{Held: []string{"01a"}, Resolved: 2}}, effective: &w}}
}

func TestWindowsAreShown(t *testing.T) {
	for output, want := range map[string][]string{
		"table": {"db    once  active  2026-01-01 12:00 UTC  2026-01-01 13:00 UTC  shop     page=hold remediate=off " +
			"deploy=forbidden  1 (0 delivered, 2 resolved)  alice  move"},
		"json": {`"name": "db"`, `"phase": "active"`, `"page": "hold"`},
		"yaml": {"name: db", "phase: active", "page: hold"},
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
	if err := status(&b, "watchdog-0", incident.Ledger{}, nil, nil, t0, shown()...); err != nil ||
		!strings.Contains(b.String(), "maintenance db: active, 2026-01-01 12:00 UTC to 2026-01-01 13:00 UTC, shop: "+
			"move (page=hold remediate=off deploy=forbidden)") {
		t.Errorf("%v:\n%s", err, b.String())
	}
}

func TestTheAnswerToADeployIsTheExitStatus(t *testing.T) {
	var b bytes.Buffer
	err := mayDeploy(&b, effective(shown()), []string{"shop", "cart"}, t0.Add(10*time.Minute))
	if err == nil || exitCode(err) != exitFailed || !strings.Contains(b.String(), "shop: NO: window db forbids") ||
		!strings.Contains(b.String(), "cart: yes:") {
		t.Errorf("%v:\n%s", err, b.String())
	}
	if err := mayDeploy(&b, effective(shown()), []string{"cart"}, t0); err != nil {
		t.Error(err)
	}
	b.Reset()
	showStates(&b, effective(shown()), []string{"shop", "cart"}, t0.Add(18*time.Minute))
	for _, want := range []string{"shop: in maintenance until 13:00 UTC, 42m left, by alice: move",
		"page       held by window db", "remediate  off, by window db", "deploy     NO",
		"cart: no active maintenance window"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
