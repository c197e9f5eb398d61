package policy

import (
	"slices"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/rules"
)

// worst names the pod behind a breach of CPU or memory, and how many are like it.
func (p *Policy) worst(x rules.Alert, looks []probes.Status) string {
	if x.Verdict != rules.Breach || x.SourceKind != "kubernetes" {
		return ""
	}
	of := probes.CPU
	switch k := slices.IndexFunc(p.cfg.Thresholds, func(t config.Threshold) bool { return t.Name == x.Rule }); {
	case k < 0:
		return ""
	case p.cfg.Thresholds[k].Metric == "memory":
		of = probes.Memory
	case p.cfg.Thresholds[k].Metric != "cpu":
		return ""
	}
	for _, l := range looks {
		if text := probes.Describe(l.Usage, of, x.Bound); text != "" {
			return "; " + text
		}
	}
	return ""
}
