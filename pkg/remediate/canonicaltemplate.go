package remediate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

// templateHashLabel is put on a ReplicaSet's template by the Deployment controller.
const templateHashLabel = "pod-template-hash"

// canonicalTemplate returns the pod template as JSON with sorted keys, without
// nulls (which mean absence) and without the controller's hash label.
func canonicalTemplate(raw json.RawMessage, ignoreRestarts bool) ([]byte, error) {
	return templates.get(canonicalKey{string(raw), ignoreRestarts},
		func() ([]byte, error) { return canonicalForm(raw, ignoreRestarts) })
}

func canonicalForm(raw json.RawMessage, ignoreRestarts bool) ([]byte, error) {
	doc, err := decodeTemplate(raw)
	if err != nil {
		return nil, err
	}
	dropKey(doc, "labels", templateHashLabel)
	if ignoreRestarts {
		dropKey(doc, "annotations", RestartedAtAnnotation)
	}
	return json.Marshal(doc)
}

func decodeTemplate(raw json.RawMessage) (map[string]any, error) {
	// Numbers stay as written: a float would round large integers, and two
	// templates would look alike.
	v, err := decodeNumbers(raw)
	if err != nil {
		return nil, fmt.Errorf("read pod template: %w", err)
	}
	doc, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("read pod template: not a JSON object")
	}
	return withoutNulls(doc).(map[string]any), nil
}

func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			if item == nil {
				delete(v, k)
				continue
			}
			v[k] = withoutNulls(item)
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return v
}

// dropKey removes metadata.<section>.<key>, and the section with its last key:
// for Kubernetes an empty map is the same as none.
func dropKey(template map[string]any, section, key string) {
	metadata, _ := template["metadata"].(map[string]any)
	entries, ok := metadata[section].(map[string]any)
	if !ok {
		return
	}
	delete(entries, key)
	if len(entries) == 0 {
		delete(metadata, section)
	}
}

// templatePatch returns the JSON merge patch of a Deployment that turns the pod
// template from into the template to; what only from has becomes null. The patch
// is applied once here and its result compared: a merge patch cannot express every
// change, and must not be sent if it does not.
func templatePatch(from, to json.RawMessage) ([]byte, error) {
	a, err := canonicalTemplate(from, false)
	if err != nil {
		return nil, fmt.Errorf("current template: %w", err)
	}
	b, err := canonicalTemplate(to, false)
	if err != nil {
		return nil, fmt.Errorf("template of the revision: %w", err)
	}
	patch, err := jsonpatch.CreateMergePatch(wrapTemplate(a), wrapTemplate(b))
	if err != nil {
		return nil, fmt.Errorf("make merge patch of the template: %w", err)
	}
	got, err := jsonpatch.MergePatch(wrapTemplate(a), patch)
	if err != nil {
		return nil, fmt.Errorf("try merge patch of the template: %w", err)
	}
	if got, err = unwrapTemplate(got); err != nil || !bytes.Equal(got, b) {
		return nil, errors.Join(errors.New("try merge patch of the template: the result is not the revision's template"), err)
	}
	return patch, nil
}

func wrapTemplate(template []byte) []byte {
	return fmt.Appendf(nil, `{"spec":{"template":%s}}`, template)
}

func unwrapTemplate(object []byte) ([]byte, error) {
	var o struct {
		Spec struct {
			Template json.RawMessage `json:"template"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(object, &o); err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	return canonicalTemplate(o.Spec.Template, false)
}

// sum is the SHA-256 in hex of a template's content; empty if it cannot be read.
func sum(template json.RawMessage) string {
	b, err := canonicalTemplate(template, false)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// fingerprint is a short name of a template's content.
func fingerprint(template json.RawMessage) string {
	if s := sum(template); s != "" {
		return s[:12]
	}
	return "unreadable"
}

// templateAnnotation returns an annotation of the pod template.
func templateAnnotation(template json.RawMessage, key string) string {
	var t struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if json.Unmarshal(template, &t) != nil {
		return ""
	}
	return t.Metadata.Annotations[key]
}
