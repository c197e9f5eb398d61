package decision

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// Bounds of a decoded record.
const (
	maxItems = 10_000
	maxSize  = 8 << 20
)

// whole marks a complete value, as opposed to a difference.
const whole = "="

// tree is the value as decoded from JSON: maps, lists, strings, and numbers as written.
func tree(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return parse(b)
}

func parse(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("unexpected data after the JSON value")
	}
	return v, nil
}

// delta returns the difference that turns a into b, and false if they are equal:
//
//   - text, a number, true or false: the new value
//   - {"=": value}: the new value
//   - null: the member of the object is removed
//   - {"member": delta, …}: the changed members of an object
//   - [[from, n], {"@": k, "d": delta}, {"=": value}, …]: a list, of n items copied from the old
//     one, item k of it with a change, or a new item
func delta(a, b any) (any, bool) {
	switch b := b.(type) {
	case map[string]any:
		a, is := a.(map[string]any)
		if !is || reserved(a) || reserved(b) {
			break
		}
		d := map[string]any{}
		for k, v := range b {
			old, had := a[k]
			if !had {
				d[k] = literal(v)
			} else if c, differs := delta(old, v); differs {
				d[k] = c
			}
		}
		for k := range a {
			if _, has := b[k]; !has {
				d[k] = nil
			}
		}
		return d, len(d) > 0
	case []any:
		if a, is := a.([]any); is {
			return script(a, b)
		}
	}
	if reflect.DeepEqual(a, b) {
		return nil, false
	}
	return literal(b), true
}

func reserved(m map[string]any) bool { _, has := m[whole]; return has }

func literal(v any) any {
	switch v.(type) {
	case string, json.Number, bool:
		return v
	}
	return map[string]any{whole: v}
}

// script encodes a list as copies from the old one.
func script(a, b []any) (any, bool) {
	if reflect.DeepEqual(a, b) {
		return nil, false
	}
	places := map[string][]int{}
	for k, v := range a {
		places[text(v)] = append(places[text(v)], k)
	}
	out, next := []any{}, 0 // next: the item of a that comes after the last one taken
	for _, v := range b {
		if at, found := after(places[text(v)], next); found {
			if n := len(out); n > 0 {
				if run, is := out[n-1].([]any); is && run[0].(int)+run[1].(int) == at {
					run[1] = run[1].(int) + 1
					next = at + 1
					continue
				}
			}
			out = append(out, []any{at, 1})
			next = at + 1
			continue
		}
		if at := like(a, v, next); at >= 0 {
			if d, differs := delta(a[at], v); differs {
				out = append(out, map[string]any{"@": at, "d": d})
				next = at + 1
				continue
			}
		}
		out = append(out, map[string]any{whole: v})
	}
	return out, true
}

// nameIn identifies an item in its list.
func nameIn(m map[string]any) string {
	for _, k := range []string{"rule", "guard"} {
		if name, is := m[k].(string); is {
			return k + " " + name
		}
	}
	return ""
}

func text(v any) string { b, _ := json.Marshal(v); return string(b) }

func after(places []int, next int) (int, bool) {
	k, _ := slices.BinarySearch(places, next)
	if k == len(places) {
		return 0, false
	}
	return places[k], true
}

// like finds the item of a that v is a later state of: an alert of the same rule, an answer
// of the same guard, or the item at the same position.
func like(a []any, v any, next int) int {
	m, is := v.(map[string]any)
	if !is || reserved(m) {
		return -1
	}
	for k := range a {
		o, is := a[k].(map[string]any)
		if !is || reserved(o) {
			continue
		}
		if name := nameIn(m); name != "" && nameIn(o) == name || name == "" && k == next {
			return k
		}
	}
	return -1
}

// apply applies the difference d to a. It modifies neither.
func apply(a, d any) (any, error) {
	switch d := d.(type) {
	case string, json.Number, bool:
		return d, nil
	case map[string]any:
		if v, is := d[whole]; is {
			if len(d) != 1 {
				return nil, errors.New("a value has additional members")
			}
			return v, nil
		}
		old, is := a.(map[string]any)
		if !is {
			return nil, errors.New("members are changed, but the value is not an object")
		}
		out := maps.Clone(old)
		for k, c := range d {
			if c == nil {
				delete(out, k)
				continue
			}
			v, err := apply(old[k], c)
			if err != nil {
				return nil, fmt.Errorf("%.40q: %w", k, err)
			}
			out[k] = v
		}
		return out, nil
	case []any:
		old, is := a.([]any)
		if !is {
			return nil, errors.New("items are copied, but the value is not a list")
		}
		return unscript(old, d)
	}
	return nil, errors.New("neither a value nor a change")
}

func unscript(old, d []any) (any, error) {
	out := []any{}
	for _, c := range d {
		switch c := c.(type) {
		case []any:
			if len(c) != 2 {
				return nil, fmt.Errorf("a list range has %d numbers, expected 2", len(c))
			}
			from, n := number(c[0]), number(c[1])
			if from < 0 || n < 0 || from > len(old) || n > len(old)-from {
				return nil, fmt.Errorf("a list range is out of bounds: the list has %d items", len(old))
			}
			out = append(out, old[from:from+n]...)
		case map[string]any:
			if v, is := c[whole]; is && len(c) == 1 {
				out = append(out, v)
				break
			}
			k := number(c["@"])
			if k < 0 || k >= len(old) || len(c) != 2 {
				return nil, fmt.Errorf("a changed item is out of bounds: the list has %d items", len(old))
			}
			v, err := apply(old[k], c["d"])
			if err != nil {
				return nil, fmt.Errorf("item %d: %w", k, err)
			}
			out = append(out, v)
		default:
			return nil, errors.New("a list item is neither copied, changed nor given")
		}
		if len(out) > maxItems {
			return nil, fmt.Errorf("a list has more than %d items", maxItems)
		}
	}
	return out, nil
}

// number decodes an index of a list; -1: not an index.
func number(v any) int {
	n, is := v.(json.Number)
	if !is {
		return -1
	}
	k, err := strconv.Atoi(n.String())
	if err != nil {
		return -1
	}
	return k
}

// fits reports whether the value is within the bound of a decoded record.
func fits(v any) bool { return rest(v, maxSize) > 0 }

// rest is what remains of the budget after the value.
func rest(v any, budget int) int {
	budget--
	switch v := v.(type) {
	case string:
		budget -= len(v)
	case json.Number:
		budget -= len(v)
	case []any:
		for _, x := range v {
			if budget = rest(x, budget); budget <= 0 {
				return 0
			}
		}
	case map[string]any:
		for k, x := range v {
			if budget = rest(x, budget-len(k)); budget <= 0 {
				return 0
			}
		}
	}
	return budget
}
