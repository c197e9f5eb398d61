package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/remediate"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"watchdog": func() { os.Exit(run(context.Background(), os.Args[1:])) }})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}

// TestOutside plays what was found from outside: one file each (docs/outside.md).
func TestOutside(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "../../test/outside"})
}

var t0 = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func sample() incident.Incident {
	i := incident.New("01abc", incident.Target{Name: "shop", Namespace: "shop", Kind: "deployment", Workload: "shop"},
		t0)
	i.Severity, i.Lead, i.Phase = incident.P1, "error_rate", incident.Escalated
	i.Alerts = []incident.Alert{{Rule: "error_rate", Severity: incident.P1, Firing: true, Was: "error rate 31% > 5%",
		Reason: "error rate 33% > 5%"}}
	i.Paged, i.PageReason = true, "the ladder of error_rate is exhausted after 2 rungs"
	i.Considered = "roll back shop/deployment/shop"
	i.Answers = []incident.Answer{{Guard: "cooldown", Reason: "no op yet"},
		{Guard: "hold", Hold: incident.Suppress, Reason: "held by alice"}}
	i.Timeline = []incident.Entry{{At: t0, Kind: "firing", Text: "error_rate: error rate 31% > 5%"},
		{At: t0.Add(90 * time.Second), Kind: "paged", Text: i.PageReason}}
	return i
}

func TestAnIncidentExplainsItself(t *testing.T) {
	var b bytes.Buffer
	story(&b, sample())
	for _, want := range []string{"01abc  P1  escalated", "shop: error_rate (error rate 31% > 5%)",
		"paged     the ladder of error_rate is exhausted", "12:01:30      +90s  paged"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestWhoAnsweredIsShown(t *testing.T) {
	for _, c := range []struct {
		name         string
		change       func(*incident.Incident)
		word, answer string
	}{
		{"nobody is asked", func(*incident.Incident) {}, "-", ""},
		{"due", func(i *incident.Incident) { i.AckBy = t0.Add(15 * time.Minute) }, "due in 15m00s",
			"ack       due by 2026-01-01T12:15:00Z: `watchdog ack 01abc`\n"},
		{"missed", func(i *incident.Incident) { i.AckBy, i.Unanswered = t0.Add(time.Hour), 2 }, "2 missed",
			"`watchdog ack 01abc` (2 missed)\n"},
		{"the last one missed", func(i *incident.Incident) { i.Unanswered = 3 }, "3 missed",
			"ack       not acknowledged: `watchdog ack 01abc` (3 missed)\n"},
		{"taken", func(i *incident.Incident) {
			i.Unanswered, i.Acked = 1, incident.Attribution{By: "alice", At: t0, Reason: "the database"}
		}, "alice", "ack       acknowledged by alice at 2026-01-01T12:00:00Z: the database\n"},
		{"over", func(i *incident.Incident) { i.Phase, i.Unanswered = incident.Resolved, 1 }, "-", ""},
	} {
		i := sample()
		c.change(&i)
		var b bytes.Buffer
		if story(&b, i); whose(i, t0) != c.word || !strings.Contains(b.String(), c.answer) || c.answer == "" &&
			strings.Contains(b.String(), "\nack ") {
			t.Errorf("%s: %q\n%s", c.name, whose(i, t0), b.String())
		}
	}
}

func TestWhyShowsEveryGuardWithItsReason(t *testing.T) {
	var b bytes.Buffer
	if err := why(&b, sample()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"last considered: roll back shop/deployment/shop", "cooldown  pass      no op yet",
		"hold      suppress  held by alice"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestWhySaysWhoSilencedWhat(t *testing.T) {
	var b bytes.Buffer
	i := sample()
	i.Alerts[0].Silenced = `silenced by 0d1a until 2026-01-01T13:00:00Z by eve "move"`
	i.Answers = nil
	if err := why(&b, i); err != nil || !strings.Contains(b.String(),
		`error_rate: silenced by 0d1a until 2026-01-01T13:00:00Z by eve "move"`) {
		t.Errorf("%v:\n%s", err, b.String())
	}
}

func TestStatusShowsWhatStopsAndWhatIsOpen(t *testing.T) {
	l := incident.Ledger{Hold: &incident.Attribution{By: "alice", Reason: "move", At: t0},
		Leases: []incident.Lease{{Plan: incident.Plan{Summary: "scale shop from 3 to 4"},
			ExpiresAt: t0.Add(time.Hour)}}}
	var b bytes.Buffer
	if err := status(&b, "watchdog-0", l, nil, []incident.Incident{sample()}, t0.Add(10*time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"leader      watchdog-0", "kill switch SET 10m00s ago by alice: move",
		"lease       scale shop from 3 to 4: reverted in 50m00s", "incidents   1 open, 0 resolved", "01abc"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// The first line: what runs is not what was installed.
func TestStatusSaysFirstThatTheConfigurationIsRefused_A5(t *testing.T) {
	own := incident.New("01own", incident.Target{Name: incident.Self, Namespace: "watchdog"}, t0)
	own.Alerts = []incident.Alert{{Rule: incident.ConfigRefused, Firing: true, Severity: incident.P3, ActiveAt: t0,
		Reason: "targets[60].workload: only deployments"}}
	var b bytes.Buffer
	if err := status(&b, "watchdog-0", incident.Ledger{}, nil, []incident.Incident{sample(), own},
		t0.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(b.String(),
		"\n"); first != "config      REFUSED 2m00s ago: targets[60].workload: only deployments" {
		t.Errorf("%s", b.String())
	}
	own.Alerts[0].Firing = false
	b.Reset()
	if err := status(&b, "watchdog-0", incident.Ledger{}, nil, []incident.Incident{own}, t0); err != nil ||
		strings.Contains(b.String(), "REFUSED") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// A3, X103: what is on hold is shown, with its age and its end.
func TestStatusShowsWhatIsOnHold_A3(t *testing.T) {
	var b strings.Builder
	l := incident.Ledger{Hold: &incident.Attribution{By: "ada", Reason: "move", At: t0, Until: t0.Add(2 * time.Hour)}}
	holds := []kube.HeldObject{
		{Namespace: "shop", Kind: "deployment", Name: "cart",
			Hold: remediate.Hold{Reason: "migration (ada)", Since: t0, Until: t0.Add(3 * time.Hour)}},
		{Namespace: "billing", Hold: remediate.Hold{Reason: "freeze"}},
	}
	if err := status(&b, "watchdog-0", l, holds, nil, t0.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kill switch SET 60m00s ago by ada, ends in 60m00s: move",
		"hold        shop/deployment/cart: set 60m00s ago, ends in 2h00m: migration (ada)",
		"hold        billing: set at an unknown time, no end: freeze"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := status(&b, "watchdog-0", l, nil, nil, t0.Add(3*time.Hour)); err != nil ||
		!strings.Contains(b.String(), "kill switch not set (the last one ended 60m00s ago)") {
		t.Errorf("%s", b.String())
	}
}
