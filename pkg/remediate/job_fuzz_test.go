package remediate

import (
	"regexp"
	"strings"
	"testing"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"watchdog.io/watchdog/pkg/incident"
)

// created is a Job as the API server reads it: names of fields in their own case.
type created struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       struct {
		ActiveDeadlineSeconds int64  `json:"activeDeadlineSeconds"`
		BackoffLimit          *int64 `json:"backoffLimit"`
		Template              struct {
			Spec struct {
				Containers     []podContainer `json:"containers"`
				InitContainers []podContainer `json:"initContainers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type podContainer struct {
	TTY   bool `json:"tty"`
	Stdin bool `json:"stdin"`
	Env   []struct{ Name, Value string }
}

// FuzzJob: a manifest is refused, or what is created of it ends by itself, asks
// for no terminal, holds no literal secret, and is ours in name and place.
func FuzzJob(f *testing.F) {
	f.Add("clean", opID, string(goodJob()))
	f.Add("Disk Cleanup_1", opID, strings.Replace(string(goodJob()), `"backoffLimit":1`, `"backoffLimit":-1`, 1))
	label := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	ours := regexp.MustCompile(`^[0-9A-Z]{10,26}$`)
	secret := regexp.MustCompile(`(?i)password|token|secret|key`)
	f.Fuzz(func(t *testing.T, name, id, raw string) {
		if !ours.MatchString(id) {
			return // the ids of ops are made by watchdog, not read
		}
		facts := facts("job")
		facts.OpID, facts.Options.JobName, facts.Options.Job = id, name, []byte(raw)
		plan, no := planJob(facts)
		if no != nil {
			if no.Hold == "" || no.Reason == "" {
				t.Fatalf("refused without a word: %+v", no)
			}
			return
		}
		var got created
		if err := utiljson.Unmarshal(plan.Create, &got); err != nil {
			t.Fatalf("%s: %v", plan.Create, err)
		}
		for key := range got.Metadata {
			switch key {
			case "name", "namespace", "labels", "annotations":
			default:
				t.Fatalf("metadata.%s is taken over", key)
			}
		}
		labels, _ := got.Metadata["labels"].(map[string]any)
		if got.APIVersion != "batch/v1" || got.Kind != "Job" || got.Metadata["namespace"] != "shop" ||
			got.Metadata["name"] != plan.Object.Name || labels[OpLabel] != id {
			t.Fatalf("created %s", plan.Create)
		}
		if !label.MatchString(plan.Object.Name) || len(plan.Object.Name) > 63 || plan.Object.Namespace != "shop" ||
			plan.Object.Resource != "jobs" || len(plan.Patch) > 0 {
			t.Fatalf("object %+v", plan.Object)
		}
		if s := got.Spec; s.ActiveDeadlineSeconds <= 0 || s.BackoffLimit == nil || *s.BackoffLimit < 0 ||
			*s.BackoffLimit > maxBackoff || len(s.Template.Spec.Containers) == 0 {
			t.Fatalf("it does not end by itself: %s", plan.Create)
		}
		for _, c := range append(got.Spec.Template.Spec.InitContainers, got.Spec.Template.Spec.Containers...) {
			if c.TTY || c.Stdin {
				t.Fatalf("it asks for a terminal: %s", plan.Create)
			}
			for _, e := range c.Env {
				if e.Value != "" && secret.MatchString(e.Name) {
					t.Fatalf("it holds a secret: %s", plan.Create)
				}
			}
		}
		if strings.Contains(string(plan.Create), "${") {
			t.Fatalf("a variable is not resolved: %s", plan.Create)
		}
		if plan.Class != 0 && plan.Class != incident.C2 {
			t.Fatalf("class %d", plan.Class)
		}
	})
}
