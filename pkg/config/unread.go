package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// unread are the places that could not be decoded. What is checked there would
// only report the same mistake a second time, in other words.
type unread []string

// add notes the place of a problem. An element of a list that cannot be decoded
// is left out by the YAML library, which shifts those behind it; so the whole
// list counts as unread then.
func (u *unread) add(path string) {
	if i := strings.Index(path, ".ladder["); i >= 0 {
		path = path[:i+len(".ladder")]
	}
	// A key of the file may end so as well; then there may be no bracket before it.
	if i := strings.LastIndex(path, "["); i >= 0 && strings.HasSuffix(path, "]") {
		path = path[:i]
	}
	*u = append(*u, path)
}

// echoes reports whether a problem at path says nothing new: at an unread place,
// inside it, around it, or, if the file does not give what is at path, beside it.
func (u unread) echoes(path string, given bool) bool {
	return slices.ContainsFunc(u, func(p string) bool {
		return within(p, path) || within(path, p) || !given && parent(p) == parent(path)
	})
}

// covers reports whether the named top-level part may be incomplete. A field
// of the top level that is not known may be that part, misspelt.
func (u unread) covers(part string) bool {
	top := keysOf("config.Config")
	return slices.ContainsFunc(u, func(p string) bool {
		return within(part, p) || !slices.ContainsFunc(top, func(k string) bool { return within(k, p) })
	})
}

// within reports whether path is outer or a place inside it.
func within(outer, path string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// notZero are the options for which 0 means "not given".
var notZero = []string{"attempts", "clear_for", "concurrent", "cooldown", "evaluation_interval", "failures", "for", "good_after", "hold_down", "hold_limit", "human_change", "interval", "lease", "max", "max_replicas", "max_skew", "min_rate", "min_requests", "own_change", "settle", "spread", "startup_grace", "successes", "suspect_window", "timeout", "verify", "wait_limit", "window"}

// zeroes reports every 0 that would silently become a default: `concurrent: 0`
// must not end up as two ops at once.
func (v *validator) zeroes(n *yaml.Node, a at) {
	switch n.Kind {
	case yaml.DocumentNode:
		for _, c := range n.Content {
			v.zeroes(c, a)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			v.zeroes(c, a.key(i))
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i].Value, n.Content[i+1]
			here := a.key(key)
			switch {
			case key == "headers", key == "http_headers", key == "clear_for" && !hasKey(n, "metric"):
			case value.Kind == yaml.ScalarNode && slices.Contains(notZero, key) && isZero(value.Value):
				v.fail(here, "%s", whyNotZero(key, value.Value))
				v.unread.add(here.String())
			default:
				v.zeroes(value, here)
			}
		}
	}
}

func whyNotZero(key, given string) string {
	switch key {
	case "for":
		return given + " would judge by a single look; write how long the condition must hold, for instance 5m (runbook defect 16)"
	case "min_rate", "min_requests":
		return given + " is no traffic floor: one failed request of one would be a breach; write at least 1, or leave it out (runbook defect 16)"
	}
	return fmt.Sprintf("%s is read as not given, so a default would be used; leave %s out, or write the smallest value that is meant", given, key)
}

// hasKey reports whether the mapping gives the key.
func hasKey(n *yaml.Node, key string) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// isZero reports whether the text is a number or a duration of nothing.
func isZero(text string) bool {
	q, err := ParseQuantity(text)
	return err == nil && q.Value == 0
}
