package config

import (
	"cmp"
	"fmt"
	"slices"

	"watchdog.io/watchdog/pkg/maintenance"
)

func (w *MaintenanceWindow) setDefaults() {
	for value, otherwise := range map[*string]string{
		&w.Page: string(maintenance.PageNormal), &w.Deploy: string(maintenance.DeployAny),
		&w.SLA: string(maintenance.SLAInclude),
	} {
		if *value == "" {
			*value = otherwise
		}
	}
	w.Remediate = cmp.Or(w.Remediate, Switch(maintenance.RemediateOff))
}

func (w *MaintenanceWindow) effects() maintenance.Effects {
	return maintenance.Effects{Page: maintenance.Page(w.Page), Remediate: maintenance.Remediate(w.Remediate),
		Deploy: maintenance.Deploy(w.Deploy), SLA: maintenance.SLA(w.SLA)}
}

// Windows are the maintenance windows of the file.
func (c *Config) Windows() ([]maintenance.Window, error) {
	var all []maintenance.Window
	for _, w := range c.MaintenanceWindows {
		during, err := c.Calendar(w.During)
		if err != nil {
			return nil, fmt.Errorf("%s: maintenance window %s: %w", c.File, w.Name, err)
		}
		n := maintenance.Window{Name: w.Name, Recurs: during, Targets: w.Targets, Effects: w.effects(),
			Silence: w.Silence, Reason: w.Reason}
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
			v.fail(a.key("name"), "invalid maintenance window name %q: use lowercase letters, digits and \"-\" (at "+
				"most 63)", w.Name)
		case names[w.Name]:
			v.fail(a.key("name"), "duplicate maintenance window %q", w.Name)
		}
		names[w.Name] = true
		known := w.During == weekdays || slices.ContainsFunc(c.TimeIntervals,
			func(t NamedTime) bool { return t.Name == w.During })
		switch {
		case w.During == "":
			v.fail(a.key("during"), "during is required: the name of a time interval")
		case !known && !v.undecoded.covers("time_intervals"):
			v.fail(a.key("during"), "unknown time interval %q", w.During)
		}
		for k, name := range w.Targets {
			if !targets[name] && !v.undecoded.covers("targets") {
				v.fail(a.key("targets").key(k), "unknown target %q", name)
			}
		}
		if err := w.effects().Check(); err != nil {
			v.fail(a, "%v", err)
		}
		if w.Silence && (c.Alertmanager == nil || c.Alertmanager.Silences == nil) &&
			!v.undecoded.covers("alertmanager") {
			v.fail(a.key("silence"), "silence requires alertmanager.silences.urls")
		}
		if w.Public != nil && w.Public.Name == "" {
			v.fail(a.key("public").key("name"),
				"name is required: the title on the status page, for example Database maintenance")
		}
	}
}
