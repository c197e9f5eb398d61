package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// keysOf returns the YAML keys of the struct that Go calls typeName, for
// instance config.Target; nil if the file has no such struct.
func keysOf(typeName string) []string {
	seen := map[reflect.Type]bool{}
	var find func(t reflect.Type) []string
	find = func(t reflect.Type) []string {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || seen[t] {
			return nil
		}
		seen[t] = true
		if t.String() == typeName {
			return yamlKeys(t)
		}
		for i := range t.NumField() {
			if keys := find(t.Field(i).Type); keys != nil {
				return keys
			}
		}
		return nil
	}
	return find(reflect.TypeFor[Config]())
}

// yamlKeys returns the keys of a struct, those of inlined structs among them.
func yamlKeys(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(options, "inline"):
			keys = append(keys, yamlKeys(f.Type)...)
		case key != "" && key != "-":
			keys = append(keys, key)
		}
	}
	return keys
}

// renamed are the keys that had another name in an earlier version: by the struct
// that has them, the old name and the new one.
var renamed = map[string]map[string]string{
	"config.Budget":     {"spread": "min_interval"},
	"config.Statuspage": {"spread": "min_update_interval", "hold_down": "pending_for"},
}

// unknownField is the message for a key that the struct of that name does not have. The
// key is not quoted: what is quoted at the place of a secret is hidden.
func unknownField(given, typeName string) string {
	known := keysOf(typeName)
	if now, ok := renamed[typeName][given]; ok {
		return fmt.Sprintf("%s was renamed to %s", given, now)
	}
	if near := nearest(given, known); near != "" {
		return fmt.Sprintf("unknown field %s; did you mean %s?", given, near)
	}
	return fmt.Sprintf("unknown field %s; expected one of: %s", given, strings.Join(known, ", "))
}

// nearest returns the known word that the given one is most likely a slip of;
// empty if there is none.
func nearest(given string, known []string) string {
	best, slips := "", 1+len(given)/4
	if len(given) > 64 {
		return ""
	}
	for _, k := range known {
		if d := distance(given, k); d <= slips && (best == "" || d < distance(given, best)) {
			best = k
		}
	}
	return best
}

// distance is the number of letters to insert, remove or replace to make a of b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := slices.Clone(row)
		next[0] = i + 1
		for j := range len(b) {
			replaced := row[j]
			if a[i] != b[j] {
				replaced++
			}
			next[j+1] = min(replaced, row[j+1]+1, next[j]+1)
		}
		row = next
	}
	return row[len(b)]
}
