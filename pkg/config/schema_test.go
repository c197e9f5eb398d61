package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

type object = map[string]any

// schema is a JSON schema (draft 7) of the file, for editors.
func (s shape) schema() string {
	definitions := object{
		"Switch":   object{"type": []any{"string", "boolean"}, "description": "a word; false is off"},
		"Duration": object{"type": "string", "pattern": "^([0-9]+(ms|[smhdwy]))+$"},
		"Quantity": object{"type": []any{"string", "number"}, "description": "500ms, 0.1%, 80% or 2"},
		"Rate": object{"type": "string", "pattern": "^[0-9]+/([0-9]+(ms|[smhdwy]))+$",
			"description": "a count in a sliding window: 3/1h"},
		"Mode":     object{"enum": []any{"observe", "suggest", "approve", "auto"}},
		"Severity": object{"enum": []any{"P0", "P1", "P2", "P3"}},
		"Rung":     s.rungSchema(),
	}
	for _, name := range order {
		if !slices.Contains([]string{"Rung", "RungOptions", "Look", "HTTPClient"}, name) {
			definitions[name] = s.structSchema(name)
		}
	}
	text, err := json.MarshalIndent(object{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"title":       "watchdog configuration",
		"$ref":        "#/definitions/Config",
		"definitions": definitions,
	}, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text) + "\n"
}

func (s shape) structSchema(name string) object {
	properties, required := object{}, []any{}
	for _, f := range s.flat(name) {
		properties[f.key] = describe(schemaOf(f.kind), f.doc)
		// A metric's row fills what a threshold leaves out.
		if f.required && name != "Threshold" {
			required = append(required, f.key)
		}
	}
	o := object{"type": []any{"object", "null"}, "additionalProperties": false, "properties": properties,
		"description": strings.ReplaceAll(s.docs[name], "\n", " ")}
	if len(required) > 0 {
		o["required"] = required
	}
	switch name {
	case "Probe":
		o["minProperties"], o["maxProperties"], o["type"] = 1, 1, "object"
	case "Threshold":
		o["anyOf"], o["type"] = []any{object{"required": []any{"metric"}},
			object{"required": []any{"name", "expr", "for", "severity", "ladder"}}}, "object"
	}
	return o
}

// rungSchema offers for each action the options it takes.
func (s shape) rungSchema() object {
	var bare []any
	properties := object{}
	for _, action := range Actions() {
		bare = append(bare, action)
		options := object{}
		row, _ := remediate.ActionOf(incident.Action(action))
		for _, f := range s.structs["RungOptions"] {
			if slices.Contains(row.Options, f.key) {
				options[f.key] = describe(schemaOf(f.kind), f.doc)
			}
		}
		// A step may be a number as well as a share: 2, "25%".
		if _, ok := options["by"]; ok {
			options["by"] = describe(object{"type": []any{"string", "integer"}},
				"a share of the present replicas (25%) or a number (2)")
		}
		properties[action] = object{"type": []any{"object", "null"}, "additionalProperties": false,
			"properties": options}
	}
	return object{"anyOf": []any{object{"enum": bare}, object{"type": "object", "minProperties": 1, "maxProperties": 1,
		"additionalProperties": false, "properties": properties}}}
}

// describe adds what an editor shows; beside a $ref draft 7 ignores other keys, so it goes into allOf.
func describe(o object, doc string) object {
	if doc == "" {
		return o
	}
	if _, ref := o["$ref"]; ref {
		return object{"allOf": []any{o}, "description": doc}
	}
	o["description"] = doc
	return o
}

func (s shape) flat(name string) []field {
	var all []field
	for _, f := range s.structs[name] {
		if f.inline {
			all = append(all, s.flat(f.kind)...)
			continue
		}
		all = append(all, f)
	}
	return all
}

func schemaOf(kind string) object {
	if rest, ok := strings.CutPrefix(kind, "list of "); ok {
		return object{"type": []any{"array", "null"}, "items": schemaOf(rest)}
	}
	if rest, ok := strings.CutPrefix(kind, "map of "); ok {
		return object{"type": "object", "additionalProperties": schemaOf(rest)}
	}
	switch kind {
	case "string":
		return object{"type": "string"}
	case "int":
		return object{"type": "integer"}
	case "float64":
		return object{"type": "number"}
	case "bool":
		return object{"type": "boolean"}
	}
	return object{"$ref": "#/definitions/" + kind}
}

func TestTheSchemaTakesWhatIsValid(t *testing.T) {
	root := readSchema(t)
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if err := root.check(root.doc, readYAML(t, f), ""); err != nil {
			t.Errorf("%s: %v", f, err)
		}
		text, err := os.ReadFile(f)
		if err != nil || !strings.HasPrefix(string(text), "# yaml-language-server: $schema=watchdog.schema.json\n") {
			t.Errorf("%s does not name the schema in its first line: %v", f, err)
		}
	}
}

func TestTheSchemaRefusesWhatHasTheWrongShape(t *testing.T) {
	root := readSchema(t)
	for _, slug := range []string{
		"unknown-field", "an-unknown-field", "wrong-type", "unknown-mode", "unknown-severity", "unknown-action",
		"an-option-that-does-not-apply", "two-actions-in-a-rung",
		"two-kinds-in-a-probe", "no-probe-in-a-probe", "a-misspelt-field-of-a-target", "no-namespace",
		"a-rate-that-is-none", "a-receiver-without-its-secret",
		"a-section-that-is-no-mapping", "a-list-at-the-top", "targets-that-are-no-list", "a-duration-without-a-unit",
		"a-number-that-is-none", "neither-metric-nor-expression",
	} {
		if err := root.check(root.doc, readYAML(t, "testdata/bad-"+slug+".yaml"), ""); err == nil {
			t.Errorf("bad-%s.yaml is taken", slug)
		}
	}
}

// jsonSchema checks with as much of draft 7 as the schema uses.
type jsonSchema struct{ doc object }

func readSchema(t *testing.T) jsonSchema {
	t.Helper()
	var s jsonSchema
	text, err := os.ReadFile(schemaFile)
	if err == nil {
		err = json.Unmarshal(text, &s.doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readYAML returns the file as JSON has it.
func readYAML(t *testing.T, file string) any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (s jsonSchema) check(rule object, v any, at string) error {
	for keyword, arg := range rule {
		if err := s.keyword(rule, keyword, arg, v, at); err != nil {
			return err
		}
	}
	return nil
}

func (s jsonSchema) keyword(rule object, keyword string, arg, v any, at string) error {
	m, isObject := v.(object)
	switch keyword {
	case "$schema", "title", "description", "definitions", "properties":
	case "$ref":
		return s.check(s.doc["definitions"].(object)[strings.TrimPrefix(arg.(string), "#/definitions/")].(object), v,
			at)
	case "allOf":
		for _, r := range arg.([]any) {
			if err := s.check(r.(object), v, at); err != nil {
				return err
			}
		}
	case "anyOf":
		var errs []string
		for _, r := range arg.([]any) {
			err := s.check(r.(object), v, at)
			if err == nil {
				return nil
			}
			errs = append(errs, err.Error())
		}
		return fmt.Errorf("%s: none of: %s", at, strings.Join(errs, "; "))
	case "enum":
		if !slices.Contains(arg.([]any), v) {
			return fmt.Errorf("%s: %v is none of %v", at, v, arg)
		}
	case "type":
		types, many := arg.([]any)
		if !many {
			types = []any{arg}
		}
		if !slices.ContainsFunc(types, func(t any) bool { return isType(t.(string), v) }) {
			return fmt.Errorf("%s: %v is not of type %v", at, v, arg)
		}
	case "pattern":
		if text, ok := v.(string); ok && !regexp.MustCompile(arg.(string)).MatchString(text) {
			return fmt.Errorf("%s: %q does not match %s", at, text, arg)
		}
	case "required":
		for _, k := range arg.([]any) {
			if _, ok := m[k.(string)]; isObject && !ok {
				return fmt.Errorf("%s: %s is missing", at, k)
			}
		}
	case "minProperties":
		if isObject && len(m) < int(arg.(float64)) {
			return fmt.Errorf("%s: too few properties", at)
		}
	case "maxProperties":
		if isObject && len(m) > int(arg.(float64)) {
			return fmt.Errorf("%s: too many properties", at)
		}
	case "items":
		list, _ := v.([]any)
		for i, e := range list {
			if err := s.check(arg.(object), e, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case "additionalProperties":
		properties, _ := rule["properties"].(object)
		for k, e := range m {
			here, known := properties[k].(object)
			if !known {
				here, known = arg.(object)
			}
			if !known {
				return fmt.Errorf("%s: unknown property %s", at, k)
			}
			if err := s.check(here, e, at+"."+k); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("the schema uses %s, which this test does not know", keyword)
	}
	return nil
}

func isType(name string, v any) bool {
	switch x := v.(type) {
	case nil:
		return name == "null"
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case float64:
		return name == "number" || name == "integer" && x == float64(int64(x))
	case []any:
		return name == "array"
	case object:
		return name == "object"
	}
	return false
}
