package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// decode is Parse without hiding secrets. root is what could be read of the document.
func decode(name string, text []byte) (c *Config, root *yaml.Node, err error) {
	c, root = &Config{File: name}, &yaml.Node{}
	sum := sha256.Sum256(text)
	c.Hash = hex.EncodeToString(sum[:])
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(root); err != nil && !errors.Is(err, io.EOF) {
		return nil, root, decodeErrors(name, root, err)
	}
	second := &yaml.Node{}
	if err := dec.Decode(second); !errors.Is(err, io.EOF) {
		return nil, root, Errors{{File: name, Line: max(1, second.Line), Column: max(1, second.Column),
			Message: "file has more than one YAML document; expected one"}}
	}
	v := &validator{file: name, root: root}
	if len(root.Content) > 0 {
		if err := root.Load(c, yaml.WithV3Defaults(), yaml.WithKnownFields()); err != nil {
			v.problems = decodeErrors(name, root, err)
		}
		for _, p := range v.problems {
			v.undecoded.add(p.Path)
		}
	}
	v.zeroes(root, make(at, 0, 16))
	c.setDefaults()
	v.config(c)
	if len(v.problems) > 0 {
		return nil, root, v.problems.inOrder()
	}
	c.warnings, c.quoting = v.warnings, v.quoting
	return c, root, nil
}

// undecoded are the places that could not be decoded. What is checked there would
// only report the same mistake a second time, in other words.
type undecoded []string

// add notes the place of a problem. An element of a list that cannot be decoded
// is left out by the YAML library, which shifts those behind it; so the whole
// list counts as undecoded then.
func (u *undecoded) add(path string) {
	if i := strings.Index(path, ".ladder["); i >= 0 {
		path = path[:i+len(".ladder")]
	}
	// A key of the file may end so as well; then there may be no bracket before it.
	if i := strings.LastIndex(path, "["); i >= 0 && strings.HasSuffix(path, "]") {
		path = path[:i]
	}
	*u = append(*u, path)
}

// echoes reports whether a problem at path says nothing new: at an undecoded place,
// inside it, around it, or, if the file does not give what is at path, beside it.
func (u undecoded) echoes(path string, given bool) bool {
	return slices.ContainsFunc(u, func(p string) bool {
		return within(p, path) || within(path, p) || !given && parent(p) == parent(path)
	})
}

// covers reports whether the named top-level part may be incomplete. A field
// of the top level that is not known may be that part, misspelt.
func (u undecoded) covers(part string) bool {
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
var notZero = []string{"attempts", "clear_for", "concurrent", "cooldown", "evaluation_interval", "failures", "for",
	"good_after", "hold_limit", "human_change", "interval", "lease", "max", "max_replicas", "max_skew", "min_interval",
	"min_rate", "min_requests", "min_update_interval", "own_change", "pending_for", "settle", "startup_grace",
	"successes", "suspect_window", "timeout", "verify", "wait_limit", "window"}

// zeroes reports every 0 that would silently become a default: `concurrent: 0`
// must not end up as two ops at once. The places share one array, as a file has many.
func (v *validator) zeroes(n *yaml.Node, a at) {
	switch n.Kind {
	case yaml.DocumentNode:
		for _, c := range n.Content {
			v.zeroes(c, a)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			v.zeroes(c, append(a, i))
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i].Value, n.Content[i+1]
			here := append(a[:len(a):cap(a)], key)
			switch {
			case key == "headers", key == "http_headers", key == "clear_for" && !hasKey(n, "metric"):
			case value.Kind == yaml.ScalarNode && slices.Contains(notZero, key) && isZero(value.Value):
				v.fail(here, "%s", whyNotZero(key, value.Value))
				v.undecoded.add(here.String())
			default:
				v.zeroes(value, here)
			}
		}
	}
}

func whyNotZero(key, given string) string {
	switch key {
	case "for":
		return "for must not be " + given + ": one sample would trigger the alert; use for example 5m"
	case "min_rate", "min_requests":
		return key + " must not be " + given +
			": a single failed request would be a breach; use 1 or more, or remove the field"
	}
	return fmt.Sprintf("%s must not be %s: zero means unset; use a positive value, or remove the field for the default",
		key, given)
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
