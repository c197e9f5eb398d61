package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/receivers"
)

func newNotify() *cobra.Command {
	return group(&cobra.Command{Use: "notify", Short: "Test the receivers"}, newNotifyTest())
}

func newNotifyTest() *cobra.Command {
	file, only, severity := "", "", string(incident.P3)
	c := &cobra.Command{
		Use:   "test --config FILE",
		Short: "Send a test incident to each receiver and resolve it",
		Long: `Test sends an incident marked as a test to each configured receiver and resolves it
immediately. It reads the secret files of the configuration, so run it where watchdog
runs. It posts nothing on a public status page; it only checks that the token can read
the page.

PagerDuty pages whoever is on call for the service, with the urgency of --severity.

Exit status: 0 every receiver accepted the test, 1 a receiver did not, 2 usage error.`,
		Example: `  kubectl exec -n watchdog deploy/watchdog -- watchdog notify test --config /etc/watchdog/watchdog.yaml
  watchdog notify test --config watchdog.yaml --receiver slack`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			s := incident.Severity(strings.ToUpper(severity))
			switch {
			case file == "":
				return misused{errors.New("--config FILE is required")}
			case !slices.Contains(severities, s):
				return misused{fmt.Errorf("invalid --severity %q; expected one of: P0, P1, P2, P3", severity)}
			}
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			all, err := receivers.FromConfig(cfg, time.Now)
			if err != nil {
				return err
			}
			var names []string
			for _, n := range all {
				names = append(names, n.Name())
			}
			if only != "" {
				all = slices.DeleteFunc(all, func(n notify.Notifier) bool { return n.Name() != only })
			}
			if len(all) == 0 {
				return misused{fmt.Errorf("%s: unknown receiver %q; expected one of: %s", file, only,
					orDash(strings.Join(names, ", ")))}
			}
			return tryAll(c.Context(), c.OutOrStdout(), all, rehearsal(s, whoami(), time.Now()))
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration file")
	c.Flags().StringVar(&only, "receiver", "", "test this receiver only")
	c.Flags().StringVar(&severity, "severity", severity, "severity of the test: P0, P1, P2 or P3")
	return c
}

// rehearsal is an incident about nothing, that needs a person so that every
// receiver takes it.
func rehearsal(s incident.Severity, by string, now time.Time) incident.Incident {
	// What alerts may hold, and a template must bear.
	text := "this is a test by " + by + `, with a "quote", a back\slash` + "\nand a line break"
	return incident.Incident{
		ID: "test-" + strings.ToLower(ulid.Make().String()), Target: incident.Target{Name: "TEST",
			Namespace: "watchdog", Kind: notify.Rehearsal, Workload: "notify"}, Phase: incident.Escalated, Severity: s,
		Lead: "notify test",
		Alerts: []incident.Alert{{Rule: "notify test", Severity: s, Firing: true, Verdict: incident.Breach,
			Reason: text, Was: text, ActiveAt: now, EvaluatedAt: now}}, Paged: true, OpenedAt: now, UpdatedAt: now,
	}
}

// tryAll tells each receiver of the incident and of its end, and says how it went.
func tryAll(ctx context.Context, w io.Writer, all []notify.Notifier, open incident.Incident) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RECEIVER\tRESULT\tTOOK\tDETAIL")
	failed := 0
	for _, n := range all {
		began := time.Now()
		detail, err := tryOne(ctx, n, open)
		result := "ok"
		if err != nil {
			result, detail = "FAILED", strings.Join(strings.Fields(err.Error()), " ")
			failed++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", n.Name(), result, time.Since(began).Round(time.Millisecond), detail)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d receivers did not accept the test", failed, len(all))
	}
	return nil
}

// tryTimeout bounds the test of one receiver.
const tryTimeout = 20 * time.Second

func tryOne(ctx context.Context, n notify.Notifier, open incident.Incident) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	if p, public := n.(notify.Public); public {
		return "posted nothing: " + p.What(), p.Reach(ctx)
	}
	r, err := n.Notify(ctx, open, incident.Receipt{})
	if err != nil {
		return "", err
	}
	r.At = time.Now()
	over := open
	over.Phase, over.ResolvedAt = incident.Resolved, time.Now()
	over.Alerts = slices.Clone(open.Alerts)
	over.Alerts[0].Firing = false
	end, err := n.Notify(ctx, over, r)
	if err != nil {
		return "", fmt.Errorf("opened as %s, but not resolved: %w", orDash(r.Ref), err)
	}
	return strings.TrimSpace("opened and resolved " + end.Ref), nil
}
