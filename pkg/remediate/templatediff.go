package remediate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxChanges bounds the description of a change.
const maxChanges = 20

// changes lists the fields in which two pod templates differ. Only the values of images and
// resources are shown: any other may contain a secret.
func changes(from, to json.RawMessage) []string {
	a, errA := decodeTemplate(from)
	b, errB := decodeTemplate(to)
	if errA != nil || errB != nil {
		return nil
	}
	dropKey(a, "labels", templateHashLabel)
	dropKey(b, "labels", templateHashLabel)
	all := differences(nil, a, b)
	if more := len(all) - maxChanges; more > 0 {
		all = append(all[:maxChanges], fmt.Sprintf("%d more", more))
	}
	return all
}

// differences are those below a path, in order.
func differences(path []string, a, b any) []string {
	am, aIsMap := byKey(a)
	bm, bIsMap := byKey(b)
	if !aIsMap || !bIsMap {
		return different(path, a, b)
	}
	var all []string
	keys := maps.Clone(am)
	maps.Copy(keys, bm)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		x, hadIt := am[k]
		y, hasIt := bm[k]
		at := append(slices.Clip(path), k)
		switch {
		case !hadIt:
			all = append(all, strings.Join(at, ".")+" added")
		case !hasIt:
			all = append(all, strings.Join(at, ".")+" removed")
		default:
			all = append(all, differences(at, x, y)...)
		}
	}
	return all
}

// different describes the difference of two values, with the values if they may be shown.
func different(path []string, a, b any) []string {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	switch at := strings.Join(path, "."); {
	case errX == nil && errY == nil && string(x) == string(y):
		return nil
	case len(path) > 3 && path[0] == "spec" && (path[3] == "image" || path[3] == "resources"): // of a container
		return []string{fmt.Sprintf("%s from %v to %v", at, a, b)}
	default:
		return []string{at + " changed"}
	}
}

// byKey is a map as it is, and a list of named things by their names.
func byKey(v any) (map[string]any, bool) {
	switch v := v.(type) {
	case map[string]any:
		return v, true
	case []any:
		m := map[string]any{}
		for _, item := range v {
			o, isMap := item.(map[string]any)
			name, isName := o["name"].(string)
			if _, twice := m[name]; !isMap || !isName || twice {
				return nil, false
			}
			m[name] = o
		}
		return m, len(m) > 0
	}
	return nil, false
}
