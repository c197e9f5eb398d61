package probes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/strutil"
)

const maxDepth = 32

// document is a JSON object whose fields are read one by one. Names are
// compared exactly and may not repeat: two readings of one answer are no answer.
type document map[string]json.RawMessage

// documentOf reads the document of an answer, or says why there is none.
func documentOf(got answer) (document, error) {
	if got.tooLarge {
		return nil, errors.New("body larger than 1 MiB")
	}
	if strings.Contains(got.mediaType, "html") || bytes.HasPrefix(bytes.TrimSpace(got.body), []byte("<")) {
		return nil, errors.New("body is HTML, not JSON: a login or error page?")
	}
	return parseDocument(got.body)
}

func parseDocument(body []byte) (document, error) {
	if depth(body) > maxDepth {
		return nil, fmt.Errorf("body is nested deeper than %d", maxDepth)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("body is not a JSON object")
	}
	fields := document{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("body is not JSON: %w", err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("body is not JSON: %w", err)
		}
		key, _ := name.(string)
		if _, twice := fields[key]; twice {
			return nil, fmt.Errorf("field %q appears twice", strutil.Cut(key, 40))
		}
		fields[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("body is not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("unexpected data after the JSON object in the body")
	}
	return fields, nil
}

// depth returns how deep objects and arrays are nested in a JSON text.
func depth(body []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch {
		case quoted && body[i] == '\\':
			i++
		case body[i] == '"':
			quoted = !quoted
		case quoted:
		case body[i] == '{' || body[i] == '[':
			now++
			deepest = max(deepest, now)
		case body[i] == '}' || body[i] == ']':
			now--
		}
	}
	return deepest
}

// has reports whether the field is there and not null.
func (d document) has(name string) bool {
	value, ok := d[name]
	return ok && string(value) != "null"
}

func (d document) text(name string) (string, error) {
	if !d.has(name) {
		return "", fmt.Errorf("field %q is missing", name)
	}
	var value string
	if err := json.Unmarshal(d[name], &value); err != nil {
		return "", fmt.Errorf("field %q is not a string", name)
	}
	return value, nil
}

// number reads a number between low and high.
func (d document) number(name string, low, high float64) (float64, error) {
	if !d.has(name) {
		return 0, fmt.Errorf("field %q is missing", name)
	}
	var value float64
	if err := json.Unmarshal(d[name], &value); err != nil {
		return 0, fmt.Errorf("field %q is not a number", name)
	}
	if math.IsNaN(value) || value < low || value > high {
		return 0, fmt.Errorf("field %q is %v; expected %v to %v", name, value, low, high)
	}
	return value, nil
}

// optional reads a number from 0 to high, divided by unit; nil when it is null.
func (d document) optional(name string, high, unit float64) (*float64, error) {
	if _, ok := d[name]; ok && !d.has(name) {
		return nil, nil
	}
	value, err := d.number(name, 0, high)
	if err != nil {
		return nil, err
	}
	value /= unit
	return &value, nil
}

// count reads a whole number between 0 and high.
func (d document) count(name string, high float64) (float64, error) {
	value, err := d.number(name, 0, high)
	if err != nil {
		return 0, err
	}
	if value != math.Trunc(value) {
		return 0, fmt.Errorf("field %q is %v; expected an integer", name, value)
	}
	return value, nil
}

func (d document) time(name string) (time.Time, error) {
	text, err := d.text(name)
	if err != nil {
		return time.Time{}, err
	}
	value, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("field %q is %q; expected a time such as 2023-11-20T01:30:00Z", name,
			strutil.Cut(text, 40))
	}
	return value, nil
}

func (d document) object(name string) (document, error) {
	inner, err := parseDocument(d[name])
	if err != nil {
		return nil, fmt.Errorf("field %q: %w", name, err)
	}
	return inner, nil
}

// staleError says that a document speaks of another time than now.
func staleError(skew, limit time.Duration) error {
	return fmt.Errorf("stale: timestamp is %s from now, more than %s: check clocks and caches",
		skew.Round(time.Second), limit)
}
