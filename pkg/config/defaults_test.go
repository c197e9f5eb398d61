package config

import (
	"fmt"
	"reflect"
	"strings"
)

// defaults returns what setDefaults makes of a file that gives every part and
// nothing in it, by Struct.key.
func defaults() map[string]string {
	c := Config{
		Prometheus: &Prometheus{}, Alertmanager: &Alertmanager{Silences: &Silences{}},
		Targets: []Target{{Probes: []Probe{{Health: &HealthProbe{}}, {Agents: &AgentsProbe{}}, {HTTP: &HTTPProbe{}},
			{TCP: &TCPProbe{}}}}},
		Thresholds: []Threshold{{Ladder: []Rung{{Action: "scale"}, {Action: "rollback"}}}},
		Receivers:  Receivers{PagerDuty: &PagerDuty{}, Slack: &Slack{}, Statuspage: &Statuspage{}},
	}
	c.setDefaults()
	c.Thresholds = c.Thresholds[:1] // without what is added to every file
	all := map[string]string{}
	collect(reflect.ValueOf(c), all)
	return all
}

func collect(v reflect.Value, all map[string]string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			collect(v.Elem(), all)
		}
	case reflect.Slice:
		for i := range v.Len() {
			collect(v.Index(i), all)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "" && key != "-" {
				if d := shown(v.Field(i)); d != "" {
					all[v.Type().Name()+"."+key] = d
				}
			}
			collect(v.Field(i), all)
		}
	}
}

// shown is a value as it would be written in a file; empty if it is a zero or has parts.
func shown(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	switch x := v.Interface().(type) {
	case Quantity:
		return x.Text
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.String, reflect.Int, reflect.Float64:
		return fmt.Sprint(v.Interface())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String {
			return strings.Trim(strings.ReplaceAll(fmt.Sprint(v.Interface()), " ", ", "), "[]")
		}
	}
	return ""
}

// defaultOf is the cell of the table: a value, or that one must be given.
func defaultOf(all map[string]string, structName string, f field) string {
	d := all[structName+"."+f.key]
	switch {
	case structName == "Threshold" && (f.required || strings.HasPrefix(f.key, "min_") || f.key == "above" ||
		f.key == "below" || f.key == "window" || strings.HasPrefix(f.key, "clear_")):
		if d == "" && f.required {
			d = "required"
		}
		return strings.TrimPrefix(d+", or as shipped", ", or ")
	case f.required:
		return "required"
	case d == "" || f.key == "name":
		return ""
	}
	return "`" + d + "`"
}
