package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/incident"
)

// decodeErrors turns the YAML library's errors into problems with a place.
func decodeErrors(file string, root *yaml.Node, err error) Errors {
	var all Errors
	var many *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &many):
		for _, e := range many.Errors[:min(len(many.Errors), maxProblems+1)] {
			all = append(all, problemOf(file, root, e))
		}
	case errors.As(err, &one):
		all = append(all, problemOf(file, root, one))
	default:
		all = append(all, Problem{File: file, Message: yamlMessage(err.Error())})
	}
	return all
}

func problemOf(file string, root *yaml.Node, e *yaml.LoadError) Problem {
	p := Problem{File: file, Line: e.Mark.Line, Column: max(1, e.Mark.Column), Message: yamlMessage(e.Message)}
	p.Path = pathAt(root, e.Mark.Line, e.Mark.Column)
	return p
}

// pathAt names the place in the document that begins at the line and column.
func pathAt(n *yaml.Node, line, column int) string {
	var best string
	var walk func(n *yaml.Node, path string)
	walk = func(n *yaml.Node, path string) {
		if n.Line > line || n.Kind == yaml.AliasNode {
			return
		}
		if n.Line == line && n.Column <= max(column, 1) || n.Line == line && best == "" {
			best = path
		}
		switch n.Kind {
		case yaml.DocumentNode:
			for _, c := range n.Content {
				walk(c, path)
			}
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				p := strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
				if k := n.Content[i]; k.Line == line && k.Column <= max(column, 1) {
					best = p
				}
				walk(n.Content[i+1], p)
			}
		case yaml.SequenceNode:
			for i, c := range n.Content {
				walk(c, fmt.Sprintf("%s[%d]", path, i))
			}
		}
	}
	walk(n, "")
	return best
}

// yamlMessage rewrites a message of the YAML library for somebody who writes a configuration.
func yamlMessage(s string) string {
	s = strings.TrimPrefix(s, "yaml: ")
	if field, typeName, ok := strings.Cut(s, " not found in type "); ok && strings.HasPrefix(field, "field ") {
		return unknownField(strings.TrimPrefix(field, "field "), typeName)
	}
	if strings.HasPrefix(s, "not a valid duration string") || strings.Contains(s, " in duration ") ||
		s == "empty duration string" {
		return s + "; use a number with a unit: 15s, 5m, 2h"
	}
	if s == "found character that cannot start any token" {
		return s + "; indent YAML with spaces, not tabs"
	}
	for _, r := range [][2]string{{"cannot construct ", "cannot read "}, {"!!str ", "the text "},
		{"!!int ", "the number "}, {"!!float ", "the number "}, {"!!bool ", ""}, {"!!seq", "a list"},
		{"!!map", "a mapping"}, {"!!null", "nothing"}} {
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
		{reflect.TypeFor[int](), "expected an integer"},
		{reflect.TypeFor[float64](), "expected a number"},
		{reflect.TypeFor[bool](), "expected true or false"},
		{reflect.TypeFor[string](), "expected a string"},
		{reflect.TypeFor[model.Duration](), "expected a duration: 15s, 5m, 2h"},
		{reflect.TypeFor[incident.Mode](), "expected one of: observe, suggest, approve, auto"},
		{reflect.TypeFor[incident.Severity](), "expected one of: P0, P1, P2, P3"},
	} {
		if typeName == b.t.String() {
			return b.text
		}
	}
	if strings.HasPrefix(typeName, "[]") {
		return "expected a list: [...]"
	}
	if keys := keysOf(typeName); keys != nil {
		return "expected a mapping with the fields " + strings.Join(keys, ", ")
	}
	return "expected a mapping"
}
