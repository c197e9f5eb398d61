package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// unitRatio is the unit of percentages.
const unitRatio = "ratio"

// UnmarshalYAML reads 500ms, 0.1%, 80% or 2.
func (q *Quantity) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return errors.New("expected a duration (500ms), a percentage (0.1%) or a number (2)")
	}
	v, err := ParseQuantity(n.Value)
	if err == nil {
		*q = v
	}
	return err
}

// ParseQuantity reads a quantity: a duration (seconds), a percentage (ratio) or a number.
func ParseQuantity(text string) (Quantity, error) {
	s := strings.TrimSpace(text)
	q := Quantity{Text: s}
	var err error
	switch {
	case strings.HasSuffix(s, "%"):
		q.Unit = unitRatio
		q.Value, err = strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(s, "%")), 64)
		q.Value /= 100
	case strings.HasSuffix(s, "s") || strings.HasSuffix(s, "m") || strings.HasSuffix(s, "h"):
		var d time.Duration
		d, err = time.ParseDuration(s)
		q.Unit, q.Value = "seconds", d.Seconds()
	default:
		q.Value, err = strconv.ParseFloat(s, 64)
	}
	if err != nil || q.Value != q.Value || q.Value < 0 || q.Value > 1e18 {
		return Quantity{}, fmt.Errorf("invalid value %q; use a duration (500ms), a percentage (0.1%%) or a number (2)",
			text)
	}
	return q, nil
}

// MarshalYAML writes the quantity as it was written.
func (q Quantity) MarshalYAML() (any, error) { return q.Text, nil }

// UnmarshalYAML reads 3/1h.
func (r *Rate) UnmarshalYAML(n *yaml.Node) error {
	count, per, ok := strings.Cut(n.Value, "/")
	c, err := strconv.Atoi(strings.TrimSpace(count))
	d, err2 := model.ParseDuration(strings.TrimSpace(per))
	if n.Kind != yaml.ScalarNode || !ok || err != nil || err2 != nil || c < 0 || d <= 0 {
		return fmt.Errorf("invalid rate %q; use count/window, for example 3/1h", n.Value)
	}
	*r = Rate{Count: c, Per: d, set: true}
	return nil
}

// String returns the rate as it is written in a file.
func (r Rate) String() string { return fmt.Sprintf("%d/%s", r.Count, r.Per) }

// MarshalYAML writes the rate as String does.
func (r Rate) MarshalYAML() (any, error) { return r.String(), nil }

// Actions returns the names of all actions.
func Actions() []string { return slices.Sorted(slices.Values(remediate.ActionNames())) }

// UnmarshalYAML reads a bare word or one action with its options.
func (r *Rung) UnmarshalYAML(n *yaml.Node) error {
	options := &yaml.Node{}
	switch {
	case n.Kind == yaml.ScalarNode:
		r.Action = incident.Action(n.Value)
	case n.Kind == yaml.MappingNode && len(n.Content) == 2:
		r.Action, options = incident.Action(n.Content[0].Value), n.Content[1]
	default:
		return errors.New("a rung must be one action, for example restart or scale: {by: 25%, max: 20}")
	}
	if options.Kind == yaml.AliasNode {
		options = options.Alias
	}
	action, known := remediate.ActionOf(r.Action)
	if !known {
		return fmt.Errorf("unknown action %q; expected one of: %s", r.Action, strings.Join(Actions(), ", "))
	}
	if options.Kind == yaml.ScalarNode && (options.Tag == "!!null" || options.Value == "") {
		return nil
	}
	if options.Kind != 0 && options.Kind != yaml.MappingNode {
		return fmt.Errorf("expected a mapping of options for %s: %s: {…}", r.Action, r.Action)
	}
	if err := optionsOf(r.Action, action.Options, options); err != nil {
		return err
	}
	if options.Kind != yaml.MappingNode {
		return nil
	}
	return options.Decode(&r.Options)
}

// optionsOf reports options that the action does not take, each at its own place.
func optionsOf(action incident.Action, fields []string, options *yaml.Node) error {
	var wrong []*yaml.LoadError
	for i := 0; i+1 < len(options.Content); i += 2 {
		key := options.Content[i]
		if slices.Contains(fields, key.Value) {
			continue
		}
		text := fmt.Sprintf("unknown option %q for %s; expected one of: %s", key.Value, action,
			strings.Join(fields, ", "))
		if len(fields) == 0 {
			text = fmt.Sprintf("unknown option %q: %s takes no options", key.Value, action)
		}
		wrong = append(wrong, yaml.NewLoadError(yaml.ConstructorStage, text,
			yaml.Mark{Line: key.Line, Column: key.Column}, nil))
	}
	if len(wrong) > 0 {
		return &yaml.LoadErrors{Errors: wrong}
	}
	return nil
}

// Switch is one of several words, of which one is off. Helm reads an unquoted off as
// false, as YAML 1.1 does, and hands that on: here it is off all the same.
type Switch string

// UnmarshalYAML reads a word, and false as off.
func (s *Switch) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return errors.New("expected a string")
	}
	*s = Switch(n.Value)
	if off, err := strconv.ParseBool(n.Value); err == nil && !off && n.ShortTag() == "!!bool" {
		*s = "off"
	}
	return nil
}
