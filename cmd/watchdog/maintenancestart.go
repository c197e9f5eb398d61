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
	return time.Time{}, fmt.Errorf("%q is no time; write %s", text, momentHelp)
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
		Short: "Begin a maintenance window, or plan one",
		Long: `Start makes a window of --for, from now or from --at on, on the given targets, else on
all. Without the flags of the effects people are told as ever, watchdog keeps its
hands off, deploys are not its business, and the time counts.

First the runbook's checklist (7.1) is gone through. Its rows are: the window was made
known (--communicated, where: a link to the message, or the status page's id); a backup
of the last 24 hours (--backup, the CronJobs that make it: when they last succeeded is
read from the cluster, with your rights); a rollback of each target that helped in the
last 30 days (watchdog's own incidents say so); and somebody who stands by (--standby).
A row that is not met refuses the window; --override starts it all the same, and the
window keeps which rows were not met, with who and why.`,
		Example: "  watchdog maintenance start db --for 2h --target shop --page hold --reason \"database upgrade\" --communicated https://chat.example.com/p17 --backup shop/nightly-dump --standby bob\n" +
			"  watchdog maintenance start --for 90m --at \"2026-03-01 01:00\" --remediate safe_only --sla exclude --reason move --override",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misused{fmt.Errorf("%s takes one NAME at most", spoken(c))}
			}
			return nil
		},
		RunE: s.run,
	}
	s.register(c)
	f := c.Flags()
	f.DurationVar(&s.length, "for", 0, "how long: 2h")
	f.StringVar(&s.at, "at", "", "when it begins: "+momentHelp+" (default: now)")
	f.StringSliceVar(&s.targets, "target", nil, "targets that are worked on (default: all)")
	f.StringVar(&s.reason, "reason", "", "why; shown wherever the window is")
	f.StringVar(&s.page, "page", string(maintenance.PageNormal), "hold: nobody is told before the end; or normal")
	f.StringVar(&s.remediate, "remediate", string(maintenance.RemediateOff), "what watchdog may do: off, safe_only or normal")
	f.StringVar(&s.deploy, "deploy", string(maintenance.DeployAny), "deploys of the targets: required, forbidden or any")
	f.StringVar(&s.sla, "sla", string(maintenance.SLAInclude), "exclude: the time does not count against error budgets; or include")
	f.BoolVar(&s.silence, "silence", false, "make silences at Alertmanager, too")
	f.StringVar(&s.publicName, "public-name", "", "what the public status page calls it; without it, the public is told nothing")
	f.StringVar(&s.publicBody, "public-body", "", "what the public status page says of it")
	f.StringVar(&s.communicated, "communicated", "", "where the window was made known")
	f.StringSliceVar(&s.backups, "backup", nil, "the CronJobs that back up what is worked on: NAMESPACE/CRONJOB,…")
	f.StringSliceVar(&s.standby, "standby", nil, "who stands by: NAME,…")
	f.BoolVar(&s.override, "override", false, "start it although rows of the checklist are not met")
	f.BoolVar(&s.dry, "dry-run", false, "go through the checklist and start nothing")
	f.StringVar(&s.file, "config", "", "configuration to check the names of the targets with")
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
		return fmt.Errorf("not started: %d of %d rows are not met; meet them, or start with --override, which is kept with the window", len(open), len(rows))
	case s.dry:
		return nil
	}
	spec.Override = open
	if spec.By, err = client.WhoAmI(ctx); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	err = store.CreateWindow(ctx, name, spec)
	if errors.Is(err, incident.ErrConflict) {
		return fmt.Errorf("there is a maintenance window %s already; give this one another name, or extend that one", name)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: from %s until %s, by %s: %s\nwhen the work is over: watchdog maintenance end %s\n", name, moment(spec.From), moment(spec.Until), spec.By, spec.Effects, name)
	return nil
}

// spec is the window that the flags ask for.
func (s *starting) spec(name string, now time.Time) (maintenance.Spec, error) {
	spec := maintenance.Spec{
		From: now, Targets: s.targets, Silence: s.silence, Reason: strings.TrimSpace(s.reason), Communicated: s.communicated, Standby: s.standby,
		Effects: maintenance.Effects{Page: maintenance.Page(s.page), Remediate: maintenance.Remediate(s.remediate), Deploy: maintenance.Deploy(s.deploy), SLA: maintenance.SLA(s.sla)},
	}
	switch {
	case !windowShape.MatchString(name):
		return spec, fmt.Errorf("%q is no name of a window; use lower-case letters, digits and -, at most 63", name)
	case s.length <= 0:
		return spec, errors.New("start needs --for: how long the work takes, with time to go back")
	case spec.Reason == "":
		return spec, errors.New("start needs --reason: the next person will ask")
	case s.publicBody != "" && s.publicName == "":
		return spec, errors.New("--public-body needs --public-name")
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
		return spec, fmt.Errorf("the window would be over at %s already", moment(spec.Until))
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
			return misused{fmt.Errorf("%s: there is no target %q", file, t)}
		}
	}
	return nil
}
