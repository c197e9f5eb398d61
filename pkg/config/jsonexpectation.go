package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/client-go/util/jsonpath"
)

// Parse returns the path, which is for one use at a time, and the pattern; nil: none is set.
func (e *JSONExpectation) Parse() (*jsonpath.JSONPath, *regexp.Regexp, error) {
	path, err := e.path()
	if err != nil {
		return nil, nil, err
	}
	pattern, err := e.pattern()
	return path, pattern, err
}

func (e *JSONExpectation) path() (*jsonpath.JSONPath, error) {
	parsed, err := jsonpath.Parse("path", e.Path)
	if err == nil && (len(parsed.Root.Nodes) != 1 || !strings.HasPrefix(e.Path, "{")) {
		err = errors.New("it must be one path in braces")
	}
	if err != nil {
		return nil, fmt.Errorf("invalid JSONPath %q: %w; use for example {.checks.database}", e.Path, err)
	}
	path := jsonpath.New("path")
	return path, path.Parse(e.Path)
}

func (e *JSONExpectation) pattern() (*regexp.Regexp, error) {
	if e.Matches == "" {
		return nil, nil
	}
	if _, err := regexp.Compile(e.Matches); err != nil {
		return nil, fmt.Errorf("invalid regular expression: %w", err)
	}
	return regexp.Compile("^(?:" + e.Matches + ")$")
}

func (e *JSONExpectation) check(v *validator, a at) {
	if _, err := e.path(); err != nil {
		v.fail(a.key("path"), "%s", err)
	}
	if _, err := e.pattern(); err != nil {
		v.fail(a.key("matches"), "%s", err)
	}
	if (e.Equals == nil) == (e.Matches == "") {
		v.fail(a, "set equals or matches: what the value at path must be")
	}
}
