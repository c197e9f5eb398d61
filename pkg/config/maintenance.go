package config

import (
	"cmp"
	"fmt"
	"slices"

	"watchdog.io/watchdog/pkg/maintenance"
)

func (w *MaintenanceWindow) setDefaults() {
	for value, otherwise := range map[*string]string{
		&w.Page: string(maintenance.PageNormal), &w.Deploy: string(maintenance.DeployAny), &w.SLA: string(maintenance.SLAInclude),
	} {
		if *value == "" {
			*value = otherwise
		}
	}
	w.Remediate = cmp.Or(w.Remediate, Switch(maintenance.RemediateOff))
}

func (w *MaintenanceWindow) effects() maintenance.Effects {
	return maintenance.Effects{Page: maintenance.Page(w.Page), Remediate: maintenance.Remediate(w.Remediate), Deploy: maintenance.Deploy(w.Deploy), SLA: maintenance.SLA(w.SLA)}
}

// Windows are the maintenance windows of the file.
func (c *Config) Windows() ([]maintenance.Window, error) {
	var all []maintenance.Window
	for _, w := range c.MaintenanceWindows {
		during, err := c.Calendar(w.During)
		if err != nil {
			return nil, fmt.Errorf("%s: maintenance window %s: %w", c.File, w.Name, err)
		}
		n := maintenance.Window{Name: w.Name, Recurs: during, Targets: w.Targets, Effects: w.effects(), Silence: w.Silence, Reason: w.Reason}
		if w.Public != nil {
			n.Public = &maintenance.Public{Name: w.Public.Name, Body: w.Public.Body}
		}
		all = append(all, n)
	}
	return all, nil
}

func (v *validator) maintenance(c *Config, targets map[string]bool) {
	names := map[string]bool{}
	for i := range c.MaintenanceWindows {
		a, w := at{"maintenance_windows", i}, &c.MaintenanceWindows[i]
		switch {
		case !labelShape.MatchString(w.Name):
			v.fail(a.key("name"), "%q is no name of a window; use lower-case letters, digits and -, at most 63", w.Name)
		case names[w.Name]:
			v.fail(a.key("name"), "window %q is there twice; names are unique", w.Name)
		}
		names[w.Name] = true
		known := w.During == weekdays || slices.ContainsFunc(c.TimeIntervals, func(t NamedTime) bool { return t.Name == w.During })
		switch {
		case w.During == "":
			v.fail(a.key("during"), "when the window is, is required: a name of time_intervals")
		case !known && !v.unread.covers("time_intervals"):
			v.fail(a.key("during"), "no time interval is called %q", w.During)
		}
		for k, name := range w.Targets {
			if !targets[name] && !v.unread.covers("targets") {
				v.fail(a.key("targets").key(k), "there is no target %q", name)
			}
		}
		if err := w.effects().Check(); err != nil {
			v.fail(a, "%v", err)
		}
		if w.Silence && (c.Alertmanager == nil || c.Alertmanager.Silences == nil) && !v.unread.covers("alertmanager") {
			v.fail(a.key("silence"), "silence needs alertmanager.silences with the URLs of the Alertmanager")
		}
		if w.Public != nil && w.Public.Name == "" {
			v.fail(a.key("public").key("name"), "the public needs a name for the window: Database maintenance")
		}
	}
}
