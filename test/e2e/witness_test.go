//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

type appsDeployment = appsv1.Deployment

// TestVerbsUsedAreVerbsGranted_SEC11 runs after all other tests of the package and
// compares, both ways, what the chart grants with what the audit log shows.
func TestVerbsUsedAreVerbsGranted_SEC11(t *testing.T) {
	granted := granted(t)
	used := map[string]string{}
	forbidden := map[string]string{}
	for _, r := range requests(t, nil) {
		if r.ObjectRef.Resource == "" {
			continue // discovery and health: not RBAC's resources
		}
		if strings.HasPrefix(r.User.Username, "system:serviceaccount:watchdog-"+stolen+":") {
			continue // what a thief asks for is in TestTheStolenTokenIsWorthLittle_S03_SEC10
		}
		resource := r.ObjectRef.Resource
		if r.ObjectRef.Subresource != "" {
			resource += "/" + r.ObjectRef.Subresource
		}
		key := fmt.Sprintf("%s %s.%s", r.Verb, resource, r.ObjectRef.APIGroup)
		if r.Annotations["authorization.k8s.io/decision"] == "forbid" {
			// One scene is installed without the right to act, to see it refused.
			if !strings.HasPrefix(r.User.Username, "system:serviceaccount:watchdog-forbidden:") {
				forbidden[key] = r.User.Username
			}
			continue
		}
		used[key] = r.RequestURI
		if r.mutates() && !r.own() {
			conditional(t, r)
		}
	}
	if len(used) == 0 {
		t.Fatal("the audit log shows no request of watchdog")
	}
	for _, k := range slices.Sorted(maps.Keys(forbidden)) {
		t.Errorf("tried and forbidden: %s by %s", k, forbidden[k])
	}
	for _, k := range slices.Sorted(maps.Keys(used)) {
		if !granted[k] {
			t.Errorf("used and not granted by the chart: %s (%s)", k, used[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(granted)) {
		if _, ok := used[k]; !ok {
			t.Errorf("granted and never used: %s", k)
		}
	}
	t.Logf("%d verbs granted, %d used", len(granted), len(used))
}

// granted reads the rules of the chart as rendered with every action on.
func granted(t *testing.T) map[string]bool {
	t.Helper()
	out, err := tb.Run(t.Context(), "", "helm", "template", "watchdog",
		filepath.Join(root, "deploy", "helm", "watchdog"),
		"-n", "watchdog", "--set", "actions.scale=true", "--set", "actions.restart=true", "--set",
		"actions.rollback=true", "--set", "actions.job=true", "--set", "rbac.namespaces={shop}")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for doc := range strings.SplitSeq(out, "\n---") {
		var o struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Rules []struct {
				APIGroups, Resources, Verbs []string
			} `json:"rules"`
		}
		b, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil || json.Unmarshal(b, &o) != nil {
			continue
		}
		if strings.HasSuffix(o.Metadata.Name, "-responder") || strings.HasSuffix(o.Metadata.Name, "-approver") ||
			strings.HasSuffix(o.Metadata.Name, "-reader") || strings.HasSuffix(o.Metadata.Name, "-cli") {
			continue // for people, to be bound to them
		}
		for _, r := range o.Rules {
			for _, g := range r.APIGroups {
				for _, res := range r.Resources {
					for _, v := range r.Verbs {
						if g == "*" || res == "*" || v == "*" {
							t.Errorf("a wildcard in the chart: %+v", r)
						}
						all[fmt.Sprintf("%s %s.%s", v, res, g)] = true
					}
				}
			}
		}
	}
	if len(all) == 0 {
		t.Fatal("the chart grants nothing")
	}
	return all
}
