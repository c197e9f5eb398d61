//go:build integration

package e2e

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/incident"
)

// TestShouldNotAct: the condition is real, and acting would be wrong.
func TestShouldNotAct(t *testing.T) {
	for _, tc := range []struct {
		name string
		// config is one of the demo's; edit changes it.
		config string
		edit   func(string) string
		set    []string
		before func(t *testing.T, s *demo.Scene)
		brk    func(t *testing.T, s *demo.Scene)
		phase  incident.Phase
		says   string // in the timeline or the page
	}{
		{
			name: "observe", config: "agents", brk: fault("agents"), phase: incident.Escalated, says: "mode observe",
			edit: func(c string) string { return strings.Replace(c, "mode: auto", "mode: observe", 1) },
		},
		{
			name: "target-observe", config: "agents", brk: fault("agents"), phase: incident.Escalated,
			says: "target agent-system",
			edit: func(c string) string {
				return strings.Replace(c, "    mode: auto\n    namespace", "    mode: observe\n    namespace", 1)
			},
		},
		{
			name: "suggest", config: "agents", brk: fault("agents"), phase: incident.Escalated, says: "restart",
			edit: func(c string) string { return strings.Replace(c, "mode: auto", "mode: suggest", 1) },
		},
		{
			name: "kill-switch", config: "agents", brk: fault("agents"), phase: incident.Suppressed,
			says: "data centre move",
			before: func(t *testing.T, s *demo.Scene) {
				if _, err := s.Testbed.Watchdog(t.Context(), "hold", "--all", "--reason", "data centre move",
					"-n", s.Watchdog); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "namespace-hold", config: "agents", brk: fault("agents"), phase: incident.Suppressed,
			says: "held from kubectl",
			before: func(t *testing.T, s *demo.Scene) {
				if _, err := s.Run(t.Context(), "", "kubectl", "annotate", "namespace", s.Namespace,
					"watchdog.io/hold=held from kubectl"); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "other-owner", config: "agents", brk: fault("agents"), phase: incident.Escalated, says: "Argo CD",
			before: func(t *testing.T, s *demo.Scene) {
				if err := s.Annotate(t.Context(),
					"argocd.argoproj.io/tracking-id", "shop:apps/Deployment:x/agent-system"); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "other-installation", config: "agents", brk: fault("agents"), phase: incident.Escalated,
			says: "another-watchdog",
			before: func(t *testing.T, s *demo.Scene) {
				if err := s.Annotate(t.Context(), "watchdog.io/managed-by", "another-watchdog"); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "no-good-revision", config: "crash", brk: release("v2.2.1"), phase: incident.Escalated, says: "good",
			edit: func(c string) string { return strings.Replace(c, "good_after: 5s", "good_after: 1h", 1) },
		},
		{
			name: "no-rollback-mark", config: "crash", brk: release("v2.2.1"), phase: incident.Escalated,
			says: "no-rollback",
			before: func(t *testing.T, s *demo.Scene) {
				good(t, s)
				if err := s.Annotate(t.Context(), "watchdog.io/no-rollback", "schema v7"); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "one-source", config: "agents", brk: fault("agents"), phase: incident.Open, says: "1 of 2",
			edit: func(c string) string { return dropLine(dropLine(c, "- health:"), "- http:") },
		},
		{
			name: "no-budget", config: "agents", brk: fault("agents"), phase: incident.Escalated, says: "0 of 0",
			edit: func(c string) string { return c + "budget: { per_target: 0/1h }\n" },
		},
		{
			name: "not-suspect", config: "health-rollback", brk: fault("redis"), phase: incident.Escalated,
			says: "page", before: good,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := stage(t, tc.name)
			text, err := s.Config(tc.config)
			if err != nil {
				t.Fatal(err)
			}
			if tc.edit != nil {
				changed := tc.edit(text)
				if changed == text {
					t.Fatal("the edit changed nothing")
				}
				text = changed
			}
			installText(t, s, text, tc.set...)
			if tc.before != nil {
				tc.before(t, s)
			}
			tc.brk(t, s)
			inc, err := s.WaitIncident(within(t, 90*time.Second), string(tc.phase)+" and saying "+tc.says,
				func(i incident.Incident) bool {
					return i.Phase == tc.phase && explains(i, tc.says)
				})
			if err != nil {
				t.Fatal(err)
			}
			if got := attempts(t, s); len(got) != 0 {
				t.Errorf("watchdog tried to write: %s %s", got[0].Verb, got[0].RequestURI)
			}
			why, err := s.Testbed.Watchdog(t.Context(), "why", inc.ID, "-n", s.Watchdog)
			if err != nil || !strings.Contains(why, "GUARD") && !strings.Contains(why, "considered") {
				t.Errorf("watchdog why: %v\n%s", err, why)
			}
		})
	}
}

func explains(i incident.Incident, text string) bool {
	if strings.Contains(i.PageReason, text) {
		return true
	}
	for _, e := range i.Timeline {
		if strings.Contains(e.Text, text) {
			return true
		}
	}
	for _, a := range i.Answers {
		if a.Hold != "" && strings.Contains(a.Reason, text) {
			return true
		}
	}
	return false
}

func fault(kind string) func(*testing.T, *demo.Scene) {
	return func(t *testing.T, s *demo.Scene) {
		if err := s.Fault(kind); err != nil {
			t.Fatal(err)
		}
	}
}

func release(version string) func(*testing.T, *demo.Scene) {
	return func(t *testing.T, s *demo.Scene) {
		if err := s.Release(t.Context(), version); err != nil {
			t.Fatal(err)
		}
	}
}

// good waits until the present release is on record as good.
func good(t *testing.T, s *demo.Scene) {
	t.Helper()
	if err := s.GoodRevisionKnown(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
}

func dropLine(text, with string) string {
	var keep []string
	for l := range strings.Lines(text) {
		if !strings.Contains(l, with) {
			keep = append(keep, l)
		}
	}
	return strings.Join(keep, "")
}
