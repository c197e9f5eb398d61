package redact

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
)

// secretKey matches a whole key of a document that names a secret, also in camel case:
// password, DB_PASSWORD, apiKey, serviceAccountToken.
var secretKey = regexp.MustCompile(
	`(?i)^[a-z0-9._-]*(?:authorization|password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|` +
		`private[_-]?key|credentials?)(?:[_-][a-z0-9]+)*$`)

// document redacts the values of one JSON document, which stays one: what is an object
// or a list under a key like serviceAccountToken is looked into, not cut off. It
// returns false for any other text.
func document(text string, redact func(string) string) (string, bool) {
	trimmed := strings.TrimSpace(text)
	if !strings.HasPrefix(trimmed, "{") && !strings.HasPrefix(trimmed, "[") {
		return "", false
	}
	d := json.NewDecoder(strings.NewReader(trimmed))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return "", false
	}
	if _, err := d.Token(); err != io.EOF {
		return "", false // several documents: lines of a log
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if strings.Contains(trimmed, "\n") {
		e.SetIndent("", "  ")
	}
	if e.Encode(redacted(v, redact)) != nil {
		return "", false
	}
	return strings.TrimSuffix(b.String(), "\n"), true
}

func redacted(v any, redact func(string) string) any {
	switch v := v.(type) {
	case string:
		clean := redact(v)
		// With quotes or lines of its own it is text in text, and nobody can tell where the
		// secret ends: all of it goes.
		if clean != v && strings.ContainsAny(v, "\"'\\\n\r") {
			return "<redacted>"
		}
		return clean
	case []any:
		for i := range v {
			v[i] = redacted(v[i], redact)
		}
	case map[string]any:
		clean := make(map[string]any, len(v))
		for k, item := range v {
			switch item.(type) {
			case string, json.Number:
				if secretKey.MatchString(k) {
					clean[redact(k)] = "<redacted>"
					continue
				}
			}
			clean[redact(k)] = redacted(item, redact)
		}
		return clean
	}
	return v
}
