package config

import (
	"github.com/prometheus/alertmanager/pkg/labels"
)

// maxInhibitRules bounds the rules: each alert is held against them.
const maxInhibitRules = 200

func (v *validator) inhibitRule(a at, r *InhibitRule, all int) {
	if all > maxInhibitRules {
		v.fail(at{"inhibit_rules"}, "too many inhibition rules: %d; the limit is %d", all, maxInhibitRules)
		return
	}
	read := func(key string, texts []string, to *labels.Matchers) {
		if len(texts) == 0 {
			v.fail(a.key(key), "%s is required", key)
		}
		for i, text := range texts {
			m, err := ParseMatchers(text)
			if err != nil {
				v.fail(a.key(key).key(i), "%v", err)
				continue
			}
			*to = append(*to, m...)
		}
	}
	read("source_matchers", r.SourceMatchers, &r.source)
	read("target_matchers", r.TargetMatchers, &r.target)
}

// Source reports whether an alert with these labels keeps others quiet.
func (r *InhibitRule) Source(alert map[string]string) bool { return matches(r.source, alert) }

// Inhibits reports whether the source keeps the alert quiet. As in Alertmanager, one
// that both sides match is not kept quiet by another such.
func (r *InhibitRule) Inhibits(source, alert map[string]string) bool {
	if !matches(r.target, alert) || matches(r.source, alert) && matches(r.target, source) {
		return false
	}
	for _, name := range r.Equal {
		if source[name] != alert[name] {
			return false
		}
	}
	return true
}

func matches(all labels.Matchers, alert map[string]string) bool {
	for _, m := range all {
		if !m.Matches(alert[m.Name]) {
			return false
		}
	}
	return true
}
