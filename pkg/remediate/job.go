package remediate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"watchdog.io/watchdog/pkg/incident"
)

// OpLabel is the label on a Job that carries the id of the op that made it.
const OpLabel = OpAnnotation

// planJob runs a vetted manifest in the target's namespace.
func planJob(f Facts) (incident.Plan, *incident.Answer) {
	w := f.Workload
	if f.OpID == "" {
		return refuse(incident.HandOver, "plan job %s: the op has no id, so the job could not be found again",
			f.Options.JobName)
	}
	doc, err := vetJob(f.Options.Job, []string{w.Target.Namespace}, f.Options.JobAllow)
	if err != nil {
		return refuse(incident.Skip, "cannot run job %s: %v", f.Options.JobName, err)
	}
	name := jobName(f.Options.JobName, f.OpID)
	create, err := json.Marshal(identified(doc, name, w.Target.Namespace, f.OpID))
	if err != nil {
		return refuse(incident.Skip, "cannot run job %s: encode manifest: %v", f.Options.JobName, err)
	}
	return incident.Plan{
		Summary: fmt.Sprintf("run job %s as %s/%s for %s", f.Options.JobName, w.Target.Namespace, name, w.Target),
		Object: incident.Object{Group: "batch", Version: "v1", Resource: "jobs", Namespace: w.Target.Namespace,
			Name: name},
		Create: create, Field: "job", Before: "none", After: name, Price: 1,
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
