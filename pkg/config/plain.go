package config

import (
	"reflect"
	"strings"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/incident"
)

// plain puts the YAML library's words into those of somebody who writes a configuration.
func plain(s string) string {
	s = strings.TrimPrefix(s, "yaml: ")
	if field, typeName, ok := strings.Cut(s, " not found in type "); ok && strings.HasPrefix(field, "field ") {
		return unknownField(strings.TrimPrefix(field, "field "), keysOf(typeName))
	}
	if strings.HasPrefix(s, "not a valid duration string") || strings.Contains(s, " in duration ") || s == "empty duration string" {
		return s + "; write a duration with its unit: 15s, 5m, 2h"
	}
	if s == "found character that cannot start any token" {
		return s + "; YAML is indented with spaces, never with tabs"
	}
	for _, r := range [][2]string{{"cannot construct ", "cannot read "}, {"!!str ", "the text "}, {"!!int ", "the number "}, {"!!float ", "the number "}, {"!!bool ", ""}, {"!!seq", "a list"}, {"!!map", "a mapping"}, {"!!null", "nothing"}} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	if what, typeName, ok := cutLast(s, " into "); ok {
		return what + "; " + belongs(strings.TrimSuffix(typeName, " (TextUnmarshaler)"))
	}
	return s
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// belongs says what is written where Go has the type.
func belongs(typeName string) string {
	for _, b := range []struct {
		t    reflect.Type
		text string
	}{
		{reflect.TypeFor[int](), "a whole number belongs here"},
		{reflect.TypeFor[float64](), "a number belongs here"},
		{reflect.TypeFor[bool](), "true or false belongs here"},
		{reflect.TypeFor[string](), "a single value belongs here"},
		{reflect.TypeFor[model.Duration](), "a duration belongs here: 15s, 5m, 2h"},
		{reflect.TypeFor[incident.Mode](), "observe, suggest, approve or auto belongs here"},
		{reflect.TypeFor[incident.Severity](), "P0, P1, P2 or P3 belongs here"},
	} {
		if typeName == b.t.String() {
			return b.text
		}
	}
	if strings.HasPrefix(typeName, "[]") {
		return "a list belongs here, even of one: [...]"
	}
	if keys := keysOf(typeName); keys != nil {
		return "a mapping belongs here with " + strings.Join(keys, ", ")
	}
	return "a mapping belongs here"
}
