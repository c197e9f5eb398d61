package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/maintenance"
)

const momentHelp = "2026-03-01T01:00:00+01:00, \"2026-03-01 01:00\" in UTC, or 01:00, the next in UTC"

// parseTime reads a moment as people write it.
func parseTime(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	if t, err := time.Parse("2006-01-02 15:04", text); err == nil {
		return t, nil
	}
	if t, err := time.Parse("15:04", text); err == nil {
		y, m, d := now.UTC().Date()
		at := time.Date(y, m, d, t.Hour(), t.Minute(), 0, 0, time.UTC)
		if !at.After(now) {
			at = at.AddDate(0, 0, 1)
		}
		return at, nil
	}
	return time.Time{}, fmt.Errorf("invalid time %q; use %s", text, momentHelp)
}

// starting are the flags of `watchdog maintenance start`.
type starting struct {
	cluster
	file, at, reason, communicated string
	length                         time.Duration
	targets, standby, backups      []string
	page, remediate, deploy, sla   string
	silence, override, dry         bool
	publicName, publicBody         string
}

func newMaintenanceStart() *cobra.Command {
	s := starting{}
	c := &cobra.Command{
		Use:   "start [NAME] --for DURATION --reason WHY",
		Short: "Start or schedule a maintenance window",
		Long: `Start creates a window of length --for, starting now or at --at, for the given targets or
for all. By default, people are notified as usual, watchdog takes no actions, deploys are
not restricted, and the time counts against error budgets.

Start first checks the runbook's checklist (7.1): the window was announced
(--communicated: a link to the message, or the status page ID); a backup succeeded in the
last 24 hours (--backup: its CronJobs, read from the cluster with your rights); a rollback
of each target helped in the last 30 days (from watchdog's incidents); and somebody is on
standby (--standby). If an item is not met, start refuses. --override starts the window
anyway and records the unmet items, your name and the reason.`,
		Example: "  watchdog maintenance start db --for 2h --target shop --page hold --reason \"database upgrade\" " +
			"--communicated https://chat.example.com/p17 --backup shop/nightly-dump --standby bob\n" +
			"  watchdog maintenance start --for 90m --at \"2026-03-01 01:00\" --remediate safe_only --sla exclude " +
			"--reason move --override",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misused{fmt.Errorf("%s accepts at most one NAME", spoken(c))}
			}
			return nil
		},
		RunE: s.run,
	}
	s.register(c)
	f := c.Flags()
	f.DurationVar(&s.length, "for", 0, "length of the window, for example 2h")
	f.StringVar(&s.at, "at", "", "start time: "+momentHelp+" (default: now)")
	f.StringSliceVar(&s.targets, "target", nil, "targets of the window (default: all)")
	f.StringVar(&s.reason, "reason", "", "reason; shown with the window")
	f.StringVar(&s.page, "page", string(maintenance.PageNormal),
		"notifications: hold (until the window ends) or normal")
	f.StringVar(&s.remediate, "remediate", string(maintenance.RemediateOff),
		"actions that watchdog may take: off, safe_only or normal")
	f.StringVar(&s.deploy, "deploy", string(maintenance.DeployAny),
		"deploys of the targets: required, forbidden or any")
	f.StringVar(&s.sla, "sla", string(maintenance.SLAInclude),
		"error budgets: exclude (the time does not count) or include")
	f.BoolVar(&s.silence, "silence", false, "also create silences in Alertmanager")
	f.StringVar(&s.publicName, "public-name", "", "title on the public status page (default: not published)")
	f.StringVar(&s.publicBody, "public-body", "", "text on the public status page")
	f.StringVar(&s.communicated, "communicated", "", "where the window was announced")
	f.StringSliceVar(&s.backups, "backup", nil, "CronJobs that make the backups: NAMESPACE/CRONJOB,…")
	f.StringSliceVar(&s.standby, "standby", nil, "people on standby: NAME,…")
	f.BoolVar(&s.override, "override", false, "start the window although checklist items are not met")
	f.BoolVar(&s.dry, "dry-run", false, "check the checklist without starting the window")
	f.StringVar(&s.file, "config", "", "configuration to validate the target names against")
	return c
}

var windowShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (s *starting) run(c *cobra.Command, args []string) error {
	now := time.Now().UTC().Truncate(time.Second)
	name := "window-" + now.Format("20060102-150405")
	if len(args) == 1 {
		name = args[0]
	}
	spec, err := s.spec(name, now)
	if err != nil {
		return misused{err}
	}
	if err := knownTargets(s.file, s.targets); err != nil {
		return err
	}
	client, store, err := s.store()
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	p := proofs{now: now}
	if p.incidents, err = list(ctx, store); err != nil {
		return err
	}
	for _, name := range s.backups {
		b, err := client.CronSuccess(ctx, name)
		if err != nil {
			return err
		}
		p.backups = append(p.backups, b)
	}
	rows := checklist(spec, p)
	if err := printChecklist(c.OutOrStdout(), rows); err != nil {
		return err
	}
	open := unmet(rows)
	switch {
	case len(open) > 0 && !s.override:
		return fmt.Errorf("not started: %d of %d checklist items are not met; meet them, or use --override, which "+
			"is recorded with the window", len(open), len(rows))
	case s.dry:
		return nil
	}
	spec.Override = open
	if spec.By, err = client.WhoAmI(ctx); err != nil {
		return fmt.Errorf("no change was made: %w", err)
	}
	err = store.CreateWindow(ctx, name, spec)
	if errors.Is(err, incident.ErrConflict) {
		return fmt.Errorf("maintenance window %s already exists; choose another name, or extend it", name)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: from %s until %s, by %s: %s\nwhen the work is done, run: watchdog maintenance "+
		"end %s\n", name, moment(spec.From), moment(spec.Until), spec.By, spec.Effects, name)
	return nil
}

// spec is the window that the flags ask for.
func (s *starting) spec(name string, now time.Time) (maintenance.Spec, error) {
	spec := maintenance.Spec{
		From: now, Targets: s.targets, Silence: s.silence, Reason: strings.TrimSpace(s.reason),
		Communicated: s.communicated, Standby: s.standby,
		Effects: maintenance.Effects{Page: maintenance.Page(s.page), Remediate: maintenance.Remediate(s.remediate),
			Deploy: maintenance.Deploy(s.deploy), SLA: maintenance.SLA(s.sla)},
	}
	switch {
	case !windowShape.MatchString(name):
		return spec, fmt.Errorf("invalid maintenance window name %q: use lowercase letters, digits and \"-\" (at "+
			"most 63)", name)
	case s.length <= 0:
		return spec, errors.New("--for is required: the length of the window, including time to roll back")
	case spec.Reason == "":
		return spec, errors.New("--reason is required")
	case s.publicBody != "" && s.publicName == "":
		return spec, errors.New("--public-body requires --public-name")
	}
	if s.publicName != "" {
		spec.Public = &maintenance.Public{Name: s.publicName, Body: s.publicBody}
	}
	if s.at != "" {
		var err error
		if spec.From, err = parseTime(s.at, now); err != nil {
			return spec, err
		}
	}
	if spec.Until = spec.From.Add(s.length); !spec.Until.After(now) {
		return spec, fmt.Errorf("the window would already be over at %s", moment(spec.Until))
	}
	_, err := spec.Window(name, maintenance.Status{})
	return spec, err
}

// knownTargets checks names of targets, if there is something to check them with: a
// name that is mistyped is in no window.
func knownTargets(file string, targets []string) error {
	if file == "" {
		return nil
	}
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if !slices.ContainsFunc(cfg.Targets, func(x config.Target) bool { return x.Name == t }) {
			return misused{fmt.Errorf("%s: unknown target %q", file, t)}
		}
	}
	return nil
}
