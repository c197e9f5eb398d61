package snapshot

import (
	"maps"

	"watchdog.io/watchdog/pkg/engine"
)

// clean hides secrets in what others say, before the engine sees it: what it decides on
// is then what is recorded. It is done at each look, so it makes nothing where there is
// nothing to hide.
func clean(v *engine.Snapshot, hide func(string) string) {
	for i := range v.Alerts {
		x := &v.Alerts[i]
		x.Reason, x.Was, x.Link = hide(x.Reason), hide(x.Was), hide(x.Link)
		x.Labels, x.Annotations = cleanTexts(x.Labels, hide), cleanTexts(x.Annotations, hide)
	}
	for i := range v.Signals {
		v.Signals[i].Detail = hide(v.Signals[i].Detail)
	}
}

// cleanTexts returns the texts without secrets; a map in which there are none is returned as
// it is, and no other is changed.
func cleanTexts(texts map[string]string, hide func(string) string) map[string]string {
	copied := false
	for k, v := range texts {
		clean := hide(v)
		if clean == v {
			continue
		}
		if !copied {
			texts, copied = maps.Clone(texts), true
		}
		texts[k] = clean
	}
	return texts
}
