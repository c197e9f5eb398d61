package probes

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/strutil"
)

// checkJSON checks what a response must say. What cannot be read is unknown, as for the
// health document; another value than the expected one is bad.
func checkJSON(what string, got answer, expected []config.JSONExpectation) error {
	if len(expected) == 0 {
		return nil
	}
	body, err := jsonOf(got)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for _, e := range expected {
		path, pattern, err := e.Parse()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		found, err := path.FindResults(body)
		values := jsonTexts(found)
		if err != nil || len(values) == 0 {
			return fmt.Errorf("%s: the response has nothing at %s", what, e.Path)
		}
		for _, v := range values {
			if e.Equals != nil && v != *e.Equals {
				return &badError{fmt.Sprintf("%s: %s is %q, not %q", what, e.Path, strutil.Cut(v, 60), *e.Equals)}
			}
			if pattern != nil && !pattern.MatchString(v) {
				return &badError{fmt.Sprintf("%s: %s is %q, which does not match %s", what, e.Path, strutil.Cut(v, 60),
					e.Matches)}
			}
		}
	}
	return nil
}

func jsonOf(got answer) (any, error) {
	if got.tooLarge {
		return nil, errors.New("body larger than 1 MiB")
	}
	if depth(got.body) > maxDepth {
		return nil, fmt.Errorf("body is nested deeper than %d", maxDepth)
	}
	var body any
	if err := json.Unmarshal(got.body, &body); err != nil {
		return nil, fmt.Errorf("body is not JSON: %w", err)
	}
	return body, nil
}

// jsonTexts are values as a file writes them: texts without quotes, numbers without exponent
// unless they are huge, and all else as JSON.
func jsonTexts(found [][]reflect.Value) []string {
	var all []string
	for _, group := range found {
		for _, v := range group {
			if !v.IsValid() || !v.CanInterface() {
				all = append(all, "null")
				continue
			}
			all = append(all, jsonText(v.Interface()))
		}
	}
	return all
}

func jsonText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSpace(string(text))
}
