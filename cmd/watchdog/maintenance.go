package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/maintenance"
)

func newMaintenance() *cobra.Command {
	c := &cobra.Command{
		Use:   "maintenance",
		Short: "Manage maintenance windows",
		Long: `A maintenance window has four independent effects on its targets: whether people are
notified (page), what watchdog may do (remediate), whether the targets may be deployed
(deploy), and whether the time counts against error budgets (sla).

Recurring windows are in the configuration (maintenance_windows). A one-off window is a
MaintenanceWindow object in the cluster, created by start or by kubectl. You need the
rights to create and patch maintenancewindows in watchdog's namespace; watchdog records
your user name as the API server knows it.

Exit status: 0 success or yes, 1 failure, unmet checklist items or no, 2 usage error.`,
	}
	return group(c, newMaintenanceList(), newMaintenanceStart(), newMaintenanceEnd(), newMaintenanceExtend(),
		newMaintenanceCheck())
}

// window is one window as it is shown.
type window struct {
	Name      string              `json:"name"`
	Kind      string              `json:"kind"` // once or recurring
	Phase     maintenance.Phase   `json:"phase"`
	From      time.Time           `json:"from,omitzero"`
	Until     time.Time           `json:"until,omitzero"`
	Targets   []string            `json:"targets,omitempty"`
	Effects   maintenance.Effects `json:"effects"`
	Silence   bool                `json:"silence,omitempty"`
	By        string              `json:"by,omitempty"`
	Reason    string              `json:"reason,omitempty"`
	Spec      *maintenance.Spec   `json:"spec,omitempty"`
	Status    *maintenance.Status `json:"status,omitempty"`
	Problem   string              `json:"problem,omitempty"`
	effective *maintenance.Window
}

// known returns the windows of the cluster, and those of the configuration if one is given.
func known(ctx context.Context, store *kube.Store, file string, now time.Time) (all []window, odd, err error) {
	stored, odd, err := store.Windows(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range stored {
		x := window{Name: s.Name, Kind: "once", From: s.Spec.From, Until: s.Spec.Until, Targets: s.Spec.Targets,
			Effects: s.Spec.Effects, Silence: s.Spec.Silence, By: s.Spec.By, Reason: s.Spec.Reason, Spec: &s.Spec,
			Status: &s.Status, Problem: s.Status.Problem}
		if w, err := s.Spec.Window(s.Name, s.Status); err != nil {
			x.Phase, x.Problem = "no effect", err.Error()
		} else {
			x.Phase, x.Effects, x.effective = w.PhaseAt(now), w.Effects, &w
		}
		all = append(all, x)
	}
	if file != "" {
		cfg, err := config.Load(file)
		if err != nil {
			return nil, nil, err
		}
		recurring, err := cfg.Windows()
		if err != nil {
			return nil, nil, err
		}
		for _, w := range recurring {
			from, until := w.Span(now)
			all = append(all, window{Name: w.Name, Kind: "recurring", Phase: w.PhaseAt(now), From: from, Until: until,
				Targets: w.Targets, Effects: w.Effects, Silence: w.Silence, Reason: w.Reason, effective: &w})
		}
	}
	slices.SortStableFunc(all, func(a, b window) int {
		return cmp.Or(a.From.Compare(b.From),
			cmp.Compare(a.Name, b.Name))
	})
	return all, odd, nil
}

// effective are the windows that have an effect at some time.
func effective(all []window) []maintenance.Window {
	var out []maintenance.Window
	for _, w := range all {
		if w.effective != nil {
			out = append(out, *w.effective)
		}
	}
	return out
}

func newMaintenanceList() *cobra.Command {
	f, file, output, ended := cluster{}, "", formatTable, false
	c := &cobra.Command{
		Use:   "list",
		Short: "List maintenance windows",
		Long: `List shows the windows of the cluster and, with --config, the current or next occurrence
of the recurring windows. --ended includes windows that have ended.`,
		Example: "  watchdog maintenance list --config watchdog.yaml\n  watchdog maintenance list --ended -o yaml",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if output != formatTable && output != formatJSON && output != "yaml" {
				return misused{fmt.Errorf("invalid --output %q; expected one of: table, json, yaml", output)}
			}
			_, store, err := f.store()
			if err != nil {
				return err
			}
			ctx, cancel := bounded(c)
			defer cancel()
			all, odd, err := known(ctx, store, file, time.Now())
			if err != nil {
				return err
			}
			if odd != nil {
				fmt.Fprintln(c.ErrOrStderr(), odd)
			}
			if !ended {
				all = slices.DeleteFunc(all, func(w window) bool { return w.Phase == maintenance.Ended })
			}
			if file == "" && output == formatTable {
				fmt.Fprintln(c.ErrOrStderr(), "recurring windows are not shown; use --config FILE to include them")
			}
			return printWindows(c.OutOrStdout(), all, output)
		},
	}
	f.register(c)
	c.Flags().StringVar(&file, "config", "", "configuration with the recurring windows")
	c.Flags().StringVarP(&output, "output", "o", formatTable, "table, json or yaml")
	c.Flags().BoolVar(&ended, "ended", false, "include windows that have ended")
	return c
}

func printWindows(w io.Writer, all []window, output string) error {
	switch output {
	case formatJSON:
		return printJSON(w, map[string]any{"windows": all})
	case "yaml":
		// Through JSON: the names of the fields are those of the objects.
		b, err := json.Marshal(map[string]any{"windows": all})
		if err != nil {
			return err
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			return err
		}
		if b, err = yaml.Marshal(v); err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tKIND\tPHASE\tFROM\tUNTIL\tTARGETS\tEFFECTS\tHELD\tBY\tREASON")
	for _, x := range all {
		held := "-"
		if x.Status != nil && x.Status.Pages.All() > 0 {
			p := x.Status.Pages
			held = fmt.Sprintf("%d (%d delivered, %d resolved)", len(p.Held), p.Delivered, p.Resolved)
		}
		reason := x.Reason
		if x.Problem != "" {
			reason = "PROBLEM: " + x.Problem
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Name, x.Kind, x.Phase, moment(x.From),
			moment(x.Until), cmp.Or(strings.Join(x.Targets, ","), "all"), x.Effects, held, orDash(x.By), orDash(reason))
	}
	return t.Flush()
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

func newMaintenanceEnd() *cobra.Command {
	f, reason := cluster{}, ""
	c := &cobra.Command{
		Use:   "end NAME",
		Short: "End a maintenance window now",
		Long: `End ends a window: watchdog sends the held notifications whose alerts still fire, expires
the window's silences, and acts again. A window that has not started is cancelled.`,
		Example: "  watchdog maintenance end db --reason \"upgraded to 16.4\"",
		Args:    exactly(1, "one NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.changeWindow(c, args[0], func(s *maintenance.Spec, _ maintenance.Window,
				word maintenance.Word) (string, error) {
				word.Reason = reason
				s.Ended = &word
				return fmt.Sprintf("%s: ended by %s", args[0], word.By), nil
			})
		},
	}
	f.register(c)
	c.Flags().StringVar(&reason, "reason", "", "the outcome of the work; recorded with the window")
	return c
}

func newMaintenanceExtend() *cobra.Command {
	f, reason, more, until := cluster{}, "", time.Duration(0), ""
	c := &cobra.Command{
		Use:   "extend NAME (--for DURATION | --until TIME) --reason WHY",
		Short: "Extend a maintenance window",
		Long: `Extend moves the end of a window: --for counts from its current end, or from now if that
has passed. The window's silences are extended, too. After the original end, an incident
of watchdog itself reports that the window is still active.`,
		Example: "  watchdog maintenance extend db --for 30m --reason \"the index takes longer\"",
		Args:    exactly(1, "one NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" || (more > 0) == (until != "") {
				return misused{errors.New("extend requires --reason, and either --for or --until")}
			}
			return f.changeWindow(c, args[0], func(s *maintenance.Spec, _ maintenance.Window,
				word maintenance.Word) (string, error) {
				end := s.Until.Add(more)
				if more > 0 && s.Until.Before(word.At) {
					end = word.At.Add(more)
				}
				if until != "" {
					var err error
					if end, err = parseTime(until, word.At); err != nil {
						return "", misused{err}
					}
				}
				if !end.After(s.Until) {
					return "", fmt.Errorf("%s already ends at %s; to end it earlier, use end", args[0], moment(s.Until))
				}
				word.Reason = reason
				s.Extended = append(s.Extended, maintenance.Extension{Word: word, Until: s.Until})
				s.Until = end.UTC().Truncate(time.Second)
				return fmt.Sprintf("%s: until %s, by %s", args[0], moment(s.Until), word.By), nil
			})
		},
	}
	f.register(c)
	c.Flags().DurationVar(&more, "for", 0, "how much longer, for example 30m")
	c.Flags().StringVar(&until, "until", "", "the new end: "+momentHelp)
	c.Flags().StringVar(&reason, "reason", "", "reason; recorded with the window")
	return c
}

// changeWindow changes what people wrote of a window that has not ended.
func (f *cluster) changeWindow(c *cobra.Command, name string,
	change func(*maintenance.Spec, maintenance.Window, maintenance.Word) (string, error)) error {
	client, store, err := f.store()
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	for range 3 { // watchdog writes its part under the same version
		stored, _, err := store.Windows(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(stored, func(s kube.StoredWindow) bool { return s.Name == name })
		if i < 0 {
			return fmt.Errorf("maintenance window %q not found in namespace %s; to change a recurring window, edit "+
				"the configuration", name, f.namespace)
		}
		s := stored[i]
		w, err := s.Spec.Window(name, s.Status)
		if err != nil {
			return fmt.Errorf("maintenance window %s has no effect: %w; kubectl -n %s edit maintenancewindow %s", name,
				err, f.namespace, name)
		}
		if w.PhaseAt(time.Now()) == maintenance.Ended {
			return fmt.Errorf("maintenance window %s ended at %s; start a new one", name, moment(w.Ended))
		}
		by, err := client.WhoAmI(ctx)
		if err != nil {
			return fmt.Errorf("no change was made: %w", err)
		}
		said, err := change(&s.Spec, w, maintenance.Word{At: time.Now().UTC().Truncate(time.Second), By: by})
		if err != nil {
			return err
		}
		if _, err := s.Spec.Window(name, s.Status); err != nil {
			return fmt.Errorf("no change was made: %w", err)
		}
		err = store.ChangeWindow(ctx, name, s.Version, s.Spec)
		if errors.Is(err, incident.ErrConflict) {
			continue
		}
		if err == nil {
			fmt.Fprintln(c.OutOrStdout(), said)
		}
		return err
	}
	return fmt.Errorf("too many conflicting updates of maintenance window %s; no change was made; retry", name)
}

func newMaintenanceCheck() *cobra.Command {
	f, file, only := cluster{}, "", false
	var deploy []string
	c := &cobra.Command{
		Use:   "check (--deploy TARGET | TARGET) (--config FILE | --cluster-only)",
		Short: "Check which windows apply to a target, or whether it may be deployed",
		Long: `Check prints the effects of the active windows on a target. With --deploy, it answers
whether the target may be deployed now, for use in pipelines.

Recurring windows and target names come from the configuration (--config). Use
--cluster-only if there are no recurring windows.

Exit status: 0 yes, 1 no or unknown, 2 usage error.`,
		Example: "  watchdog maintenance check --deploy shop --config watchdog.yaml && helm upgrade shop …",
		RunE: func(c *cobra.Command, args []string) error {
			if (file == "") != only || len(deploy)+len(args) == 0 || len(deploy) > 0 && len(args) > 0 {
				return misused{errors.New("check requires a TARGET or --deploy TARGET, and either --config FILE or " +
					"--cluster-only")}
			}
			if err := knownTargets(file, slices.Concat(deploy, args)); err != nil {
				return err
			}
			_, store, err := f.store()
			if err != nil {
				return err
			}
			ctx, cancel := bounded(c)
			defer cancel()
			now := time.Now()
			all, odd, err := known(ctx, store, file, now)
			if err != nil {
				return err
			}
			if odd != nil {
				fmt.Fprintln(c.ErrOrStderr(), odd)
			}
			if len(deploy) > 0 {
				return mayDeploy(c.OutOrStdout(), effective(all), deploy, now)
			}
			showStates(c.OutOrStdout(), effective(all), args, now)
			return nil
		},
	}
	f.register(c)
	c.Flags().StringSliceVar(&deploy, "deploy", nil, "check whether these targets may be deployed now")
	c.Flags().StringVar(&file, "config", "", "configuration with the recurring windows")
	c.Flags().BoolVar(&only, "cluster-only", false, "ignore recurring windows")
	return c
}

func mayDeploy(w io.Writer, all []maintenance.Window, targets []string, now time.Time) error {
	var no []string
	for _, t := range targets {
		may, why := maintenance.MayDeploy(all, t, now)
		word := "yes"
		if !may {
			word = "NO"
			no = append(no, t)
		}
		fmt.Fprintf(w, "%s: %s: %s\n", t, word, why)
	}
	if len(no) > 0 {
		return fmt.Errorf("deployment not allowed now: %s", strings.Join(no, ", "))
	}
	return nil
}

func showStates(w io.Writer, all []maintenance.Window, targets []string, now time.Time) {
	p := maintenance.At(all, now)
	for _, t := range targets {
		s := p.Of(t)
		if s.In == nil {
			fmt.Fprintf(w, "%s: no active maintenance window\n", t)
			continue
		}
		fmt.Fprintf(w, "%s: %s\n", t, s.In.Left(now))
		if s.Held != nil {
			fmt.Fprintf(w, "  page       held by window %s\n", s.Held.Name)
		}
		if s.Suspended != nil {
			fmt.Fprintf(w, "  remediate  %s, by window %s\n", s.Remediate, s.Suspended.Name)
		}
		if s.Excluded {
			fmt.Fprintf(w, "  sla        the time does not count\n")
		}
		may, why := maintenance.MayDeploy(all, t, now)
		fmt.Fprintf(w, "  deploy     %v: %s\n", map[bool]string{true: "yes", false: "NO"}[may], why)
	}
}
