package remediate

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"time"
)

// startsTheSame reports whether the pods of two revisions would run the same: the
// templates differ in annotations, and in labels and variables that are dates, only.
// So pipelines force a rollout of a tag that they have moved. What is behind the tag
// now is what both would start.
func startsTheSame(a, b Revision) bool {
	x, errX := undated(a.Template)
	y, errY := undated(b.Template)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// undated is the template without annotations and dates.
func undated(template json.RawMessage) ([]byte, error) {
	return undatedForms.get(string(template), func() ([]byte, error) { return undatedForm(template) })
}

// undatedForms remembers them, as templates does.
var undatedForms = memo[string, []byte]{limit: 1000}

func undatedForm(template json.RawMessage) ([]byte, error) {
	canonical, err := canonicalTemplate(template, true)
	if err != nil {
		return nil, err
	}
	doc, err := decodeTemplate(canonical)
	if err != nil {
		return nil, err
	}
	meta, _ := doc["metadata"].(map[string]any)
	delete(meta, "annotations")
	delete(meta, "creationTimestamp")
	labels, _ := meta["labels"].(map[string]any)
	for k, v := range labels {
		if date(v) {
			labels[k] = "a date"
		}
	}
	if len(labels) == 0 {
		delete(meta, "labels")
	}
	if len(meta) == 0 {
		delete(doc, "metadata")
	}
	spec, _ := doc["spec"].(map[string]any)
	for _, of := range []string{"initContainers", "containers"} {
		containers, _ := spec[of].([]any)
		for _, c := range containers {
			c, _ := c.(map[string]any)
			env, _ := c["env"].([]any)
			for _, e := range env {
				if e, ok := e.(map[string]any); ok && date(e["value"]) {
					e["value"] = "a date"
				}
			}
		}
	}
	return json.Marshal(doc)
}

var compactDate = regexp.MustCompile(`^20\d\d[-_.]?[01]\d[-_.]?[0-3]\d([-_.Tt]?[0-2]\d[-_.h]?[0-5]\d([-_.m]?[0-5]\d)?[Zs]?)?$`)

// date reports whether a value is a moment: RFC 3339, seconds or milliseconds since
// 1970, or the forms that fit into a label.
func date(v any) bool {
	s, _ := v.(string)
	if _, err := time.Parse(time.RFC3339, s); err == nil || compactDate.MatchString(s) {
		return true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && (len(s) == 10 && n > 1_400_000_000 && n < 3_000_000_000 || len(s) == 13 &&
		n > 1_400_000_000_000 && n < 3_000_000_000_000)
}
