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
		Short: "Times in which people work on targets: list, start, end, extend, check",
		Long: `A maintenance window has four effects on its targets, each by itself: whether people
are told (page), what watchdog may do (remediate), whether they may be deployed
(deploy), and whether the time counts against error budgets (sla).

Windows that come again and again are in the configuration (maintenance_windows);
one that comes once is an object of the cluster, made by start or by kubectl. Who may
create and patch maintenancewindows in watchdog's namespace may do this; the name that
is recorded is the one by which the API server knows you.

Exit status: 0 done, or the answer is yes; 1 it could not be done, a row of the
checklist is not met, or the answer is no; 2 wrong usage.`,
	}
	return group(c, newMaintenanceList(), newMaintenanceStart(), newMaintenanceEnd(), newMaintenanceExtend(), newMaintenanceCheck())
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
		x := window{Name: s.Name, Kind: "once", From: s.Spec.From, Until: s.Spec.Until, Targets: s.Spec.Targets, Effects: s.Spec.Effects, Silence: s.Spec.Silence, By: s.Spec.By, Reason: s.Spec.Reason, Spec: &s.Spec, Status: &s.Status, Problem: s.Status.Problem}
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
			all = append(all, window{Name: w.Name, Kind: "recurring", Phase: w.PhaseAt(now), From: from, Until: until, Targets: w.Targets, Effects: w.Effects, Silence: w.Silence, Reason: w.Reason, effective: &w})
		}
	}
	slices.SortStableFunc(all, func(a, b window) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Name, b.Name)) })
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
	f, file, output, ended := cluster{}, "", "table", false
	c := &cobra.Command{
		Use:   "list",
		Short: "List maintenance windows",
		Long: `List shows the windows of the cluster and, with --config, when those of the
configuration are or come next. Those that have ended are left out without --ended.`,
		Example: "  watchdog maintenance list --config watchdog.yaml\n  watchdog maintenance list --ended -o yaml",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "table" && output != "json" && output != "yaml" {
				return misused{fmt.Errorf("--output %q: use table, json or yaml", output)}
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
			if file == "" && output == "table" {
				fmt.Fprintln(c.ErrOrStderr(), "recurring windows are in the configuration: --config FILE shows them, too")
			}
			return printWindows(c.OutOrStdout(), all, output)
		},
	}
	f.register(c)
	c.Flags().StringVar(&file, "config", "", "configuration with the recurring windows")
	c.Flags().StringVarP(&output, "output", "o", "table", "table, json or yaml")
	c.Flags().BoolVar(&ended, "ended", false, "also those that have ended")
	return c
}

func printWindows(w io.Writer, all []window, output string) error {
	switch output {
	case "json":
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
			held = fmt.Sprintf("%d (%d told, %d well again)", len(p.Held), p.Delivered, p.Resolved)
		}
		reason := x.Reason
		if x.Problem != "" {
			reason = "PROBLEM: " + x.Problem
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Name, x.Kind, x.Phase, moment(x.From), moment(x.Until), cmp.Or(strings.Join(x.Targets, ","), "all"), x.Effects, held, orDash(x.By), orDash(reason))
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
		Short: "Say that the work is over: the window's effects end now",
		Long: `End ends a window: pages that it holds are told if what they are about is still bad,
its silences are ended, and watchdog acts again. A window that has not begun yet is
called off.`,
		Example: "  watchdog maintenance end db --reason \"upgraded to 16.4\"",
		Args:    exactly(1, "one NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.changeWindow(c, args[0], func(s *maintenance.Spec, w maintenance.Window, word maintenance.Word) (string, error) {
				word.Reason = reason
				s.Ended = &word
				return fmt.Sprintf("%s: ended by %s", args[0], word.By), nil
			})
		},
	}
	f.register(c)
	c.Flags().StringVar(&reason, "reason", "", "how it went")
	return c
}

func newMaintenanceExtend() *cobra.Command {
	f, reason, more, until := cluster{}, "", time.Duration(0), ""
	c := &cobra.Command{
		Use:   "extend NAME (--for DURATION | --until TIME) --reason WHY",
		Short: "Let a window end later",
		Long: `Extend moves the end of a window: --for is counted from its present end, or from now
if that is past. Its silences follow. Past its first end, watchdog's own incident says
that it goes on.`,
		Example: "  watchdog maintenance extend db --for 30m --reason \"the index takes longer\"",
		Args:    exactly(1, "one NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" || (more > 0) == (until != "") {
				return misused{errors.New("extend needs --reason, and one of --for and --until")}
			}
			return f.changeWindow(c, args[0], func(s *maintenance.Spec, w maintenance.Window, word maintenance.Word) (string, error) {
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
					return "", fmt.Errorf("%s ends at %s already; to end it earlier, use end", args[0], moment(s.Until))
				}
				word.Reason = reason
				s.Extended = append(s.Extended, maintenance.Extension{Word: word, Until: s.Until})
				s.Until = end.UTC().Truncate(time.Second)
				return fmt.Sprintf("%s: until %s, by %s", args[0], moment(s.Until), word.By), nil
			})
		},
	}
	f.register(c)
	c.Flags().DurationVar(&more, "for", 0, "how much longer: 30m")
	c.Flags().StringVar(&until, "until", "", "the new end: "+momentHelp)
	c.Flags().StringVar(&reason, "reason", "", "why; kept with the window")
	return c
}

// changeWindow changes what people wrote of a window that has not ended.
func (f *cluster) changeWindow(c *cobra.Command, name string, change func(*maintenance.Spec, maintenance.Window, maintenance.Word) (string, error)) error {
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
			return fmt.Errorf("there is no maintenance window %q in namespace %s; recurring ones are changed in the configuration", name, f.namespace)
		}
		s := stored[i]
		w, err := s.Spec.Window(name, s.Status)
		if err != nil {
			return fmt.Errorf("maintenance window %s has no effect: %w; kubectl -n %s edit maintenancewindow %s", name, err, f.namespace, name)
		}
		if w.PhaseAt(time.Now()) == maintenance.Ended {
			return fmt.Errorf("maintenance window %s has ended at %s; start another one", name, moment(w.Ended))
		}
		by, err := client.WhoAmI(ctx)
		if err != nil {
			return fmt.Errorf("nothing was written: %w", err)
		}
		said, err := change(&s.Spec, w, maintenance.Word{At: time.Now().UTC().Truncate(time.Second), By: by})
		if err != nil {
			return err
		}
		if _, err := s.Spec.Window(name, s.Status); err != nil {
			return fmt.Errorf("nothing was written: %w", err)
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
	return fmt.Errorf("maintenance window %s is changed by somebody else all the time; nothing was written", name)
}

func newMaintenanceCheck() *cobra.Command {
	f, file, only := cluster{}, "", false
	var deploy []string
	c := &cobra.Command{
		Use:   "check (--deploy TARGET | TARGET) (--config FILE | --cluster-only)",
		Short: "Ask what windows mean for a target now, or whether it may be deployed",
		Long: `Check says what the windows that are active mean for a target. With --deploy it
answers whether the target may be deployed now, for pipelines.

Recurring windows are in the configuration, and so are the names of the targets;
--cluster-only says that there are no recurring windows.

Exit status: 0 yes, 1 no or it cannot be told, 2 wrong usage.`,
		Example: "  watchdog maintenance check --deploy shop --config watchdog.yaml && helm upgrade shop …",
		RunE: func(c *cobra.Command, args []string) error {
			if (file == "") != only || len(deploy)+len(args) == 0 || len(deploy) > 0 && len(args) > 0 {
				return misused{errors.New("check takes targets, or --deploy with targets; and --config FILE or --cluster-only")}
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
	c.Flags().StringSliceVar(&deploy, "deploy", nil, "may these targets be deployed now?")
	c.Flags().StringVar(&file, "config", "", "configuration with the recurring windows")
	c.Flags().BoolVar(&only, "cluster-only", false, "there are no recurring windows")
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
		return fmt.Errorf("not to be deployed now: %s", strings.Join(no, ", "))
	}
	return nil
}

func showStates(w io.Writer, all []maintenance.Window, targets []string, now time.Time) {
	p := maintenance.At(all, now)
	for _, t := range targets {
		s := p.Of(t)
		if s.In == nil {
			fmt.Fprintf(w, "%s: in no maintenance window\n", t)
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
