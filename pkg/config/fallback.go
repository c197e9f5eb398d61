package config

import (
	"slices"
	"strings"
)

// standIn is a receiver that may stand in for another.
type standIn struct {
	name, fallbackFor string
	place             at
}

// standIns are the receivers that can fail or stand in, in the order of the file.
func (r Receivers) standIns() []standIn {
	var all []standIn
	for _, x := range r.All() {
		if other, can := x.Options.fallback(); can {
			all = append(all, standIn{x.Name, other, x.place.key("fallback_for")})
		}
	}
	return all
}

// fallbacks checks that each stands in for a receiver that is there, and that no
// two wait for each other.
func (v *validator) fallbacks(r Receivers) {
	all := r.standIns()
	next := map[string]string{}
	for _, s := range all {
		next[s.name] = s.fallbackFor
	}
	for _, s := range all {
		if s.fallbackFor == "" {
			continue
		}
		if _, there := next[s.fallbackFor]; !there || s.fallbackFor == s.name {
			var others []string
			for _, o := range all {
				if o.name != s.name {
					others = append(others, o.name)
				}
			}
			v.fail(s.place, "unknown receiver %q; expected one of: %s", s.fallbackFor,
				or(strings.Join(others, ", "), "none"))
			continue
		}
		path := []string{s.name}
		for at := s.fallbackFor; at != "" && !slices.Contains(path, at); at = next[at] {
			path = append(path, at)
		}
		if next[path[len(path)-1]] == s.name {
			v.fail(s.place, "circular fallback: %s; remove one fallback_for",
				strings.Join(append(path, s.name), " -> "))
			return // one of its members says it all
		}
	}
}
