package remediate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"watchdog.io/watchdog/pkg/incident"
)

// OpLabel is the label on a Job that carries the id of the op that made it.
const OpLabel = OpAnnotation

// maxBackoff is how often the pods of a Job may fail before it gives up.
const maxBackoff = 3

// job runs a vetted manifest beside the target.
type job struct{}

func (job) Name() string          { return "job" }
func (job) Class() incident.Class { return incident.C2 }

func (job) Plan(f Facts) (incident.Plan, *incident.Answer) {
	w := f.Workload
	if f.OpID == "" {
		return refuse(incident.HandOver, "plan job %s: the op has no id, so the job could not be found again", f.Options.JobName)
	}
	doc, err := vetJob(f.Options.Job, w.Target.Namespace)
	if err != nil {
		return refuse(incident.Skip, "job %s is not run: %v", f.Options.JobName, err)
	}
	name := jobName(f.Options.JobName, f.OpID)
	create, err := json.Marshal(identified(doc, name, w.Target.Namespace, f.OpID))
	if err != nil {
		return refuse(incident.Skip, "job %s is not run: write manifest: %v", f.Options.JobName, err)
	}
	return incident.Plan{
		Summary: fmt.Sprintf("run job %s as %s/%s for %s", f.Options.JobName, w.Target.Namespace, name, w.Target),
		Object:  incident.Object{Group: "batch", Version: "v1", Resource: "jobs", Namespace: w.Target.Namespace, Name: name},
		Create:  create, Field: "job", Before: "none", After: name, Price: 1,
	}, nil
}

// jobName is the same for the same op, so that a second create is refused as a
// duplicate. It fits into a label, as the Job controller wants.
func jobName(name, opID string) string {
	const room = 63 - len("watchdog-") - len("-12345678")
	safe := strings.Trim(strings.Map(dnsRune, strings.ToLower(name)), "-")
	safe = strings.Trim(safe[:min(len(safe), room)], "-")
	id := strings.Map(dnsRune, strings.ToLower(opID))
	id = strings.Trim(id[max(0, len(id)-8):], "-")
	if safe == "" {
		return "watchdog-" + id
	}
	return "watchdog-" + safe + "-" + id
}

func dnsRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

// identified returns the manifest with our name, our label, and no identity of its own.
func identified(doc map[string]any, name, namespace, opID string) map[string]any {
	metadata, _ := doc["metadata"].(map[string]any)
	labels := map[string]any{}
	if l, ok := metadata["labels"].(map[string]any); ok {
		labels = l
	}
	labels[OpLabel] = opID
	kept := map[string]any{"name": name, "namespace": namespace, "labels": labels}
	if a, ok := metadata["annotations"]; ok {
		kept["annotations"] = a
	}
	return map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": kept, "spec": doc["spec"]}
}

// manifest is what of a Job is looked at before it may run.
type manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec struct {
		ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds"`
		BackoffLimit          *int64 `json:"backoffLimit"`
		Template              struct {
			Spec struct {
				Containers     []container `json:"containers"`
				InitContainers []container `json:"initContainers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type container struct {
	Name  string `json:"name"`
	TTY   bool   `json:"tty"`
	Stdin bool   `json:"stdin"`
	Env   []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`
}

// vetJob returns the manifest decoded, or everything that is wrong with it.
func vetJob(raw json.RawMessage, namespace string) (map[string]any, error) {
	var m manifest
	// As the API server reads it: encoding/json would take "STDIN" for "stdin", and
	// what is looked at would not be what runs.
	if err := utiljson.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	v, err := decodeNumbers(raw)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	doc, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("read manifest: it is no object")
	}
	wrong := []error{m.bounded(), unresolved(doc), credentials(doc)}
	if m.APIVersion != "batch/v1" || m.Kind != "Job" {
		wrong = append(wrong, fmt.Errorf("it is a %s %s, not a batch/v1 Job", m.APIVersion, m.Kind))
	}
	if m.Metadata.Namespace != "" && m.Metadata.Namespace != namespace {
		wrong = append(wrong, fmt.Errorf("it names the namespace %s, the target's is %s", m.Metadata.Namespace, namespace))
	}
	for _, c := range append(m.Spec.Template.Spec.InitContainers, m.Spec.Template.Spec.Containers...) {
		wrong = append(wrong, c.unattended(), c.literalSecret())
	}
	if len(m.Spec.Template.Spec.Containers) == 0 {
		wrong = append(wrong, errors.New("it has 0 containers"))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return doc, nil
}

// bounded: a Job must end by itself.
func (m manifest) bounded() error {
	var wrong []error
	if d := m.Spec.ActiveDeadlineSeconds; d == nil || *d <= 0 {
		wrong = append(wrong, errors.New("spec.activeDeadlineSeconds is missing: it might run for ever"))
	}
	switch b := m.Spec.BackoffLimit; {
	case b == nil:
		wrong = append(wrong, fmt.Errorf("spec.backoffLimit is missing: Kubernetes takes 6, more than %d", maxBackoff))
	case *b > maxBackoff:
		wrong = append(wrong, fmt.Errorf("spec.backoffLimit is %d, more than %d", *b, maxBackoff))
	case *b < 0:
		wrong = append(wrong, fmt.Errorf("spec.backoffLimit is %d, less than 0", *b))
	}
	return errors.Join(wrong...)
}

func (c container) unattended() error {
	if c.TTY || c.Stdin {
		return fmt.Errorf("container %s wants a terminal (tty or stdin): nobody sits there", c.Name)
	}
	return nil
}

func (c container) literalSecret() error {
	secret := regexp.MustCompile(`(?i)PASSWORD|TOKEN|SECRET|KEY`)
	for _, e := range c.Env {
		if e.Value != "" && secret.MatchString(e.Name) {
			return fmt.Errorf("container %s holds a literal secret in env %s: use valueFrom.secretKeyRef or envFrom", c.Name, e.Name)
		}
	}
	return nil
}

// unresolved finds variables that nobody substituted.
func unresolved(doc map[string]any) error {
	if s := find(doc, regexp.MustCompile(`\$\{[^}]*\}?`)); s != "" {
		return fmt.Errorf("the variable %s is not resolved", clip(s))
	}
	return nil
}

// credentials finds a user and password in a URL, without repeating them.
func credentials(doc map[string]any) error {
	if s := find(doc, regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:[^/\s@$]+@`)); s != "" {
		scheme, _, _ := strings.Cut(s, "://")
		return fmt.Errorf("a %s:// URL holds a password: use a Secret", scheme)
	}
	return nil
}

// find returns the first match in any key or value.
func find(v any, re *regexp.Regexp) string {
	switch v := v.(type) {
	case string:
		return re.FindString(v)
	case []any:
		for _, item := range v {
			if s := find(item, re); s != "" {
				return s
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if s := cmp.Or(re.FindString(k), find(v[k], re)); s != "" {
				return s
			}
		}
	}
	return ""
}

// decodeNumbers reads one JSON document and keeps its numbers as written.
func decodeNumbers(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one document")
	}
	return v, nil
}
