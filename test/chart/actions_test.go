//go:build integration

package chart

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/remediate"
)

// granted are the writes that the chart grants in a target's namespace.
func granted(t *testing.T, all []object) (is []string) {
	t.Helper()
	for _, r := range at(find(t, all, "Role", "wd-watchdog-ops"), "rules").([]any) {
		for _, verb := range at(r, "verbs").([]any) {
			if resource := fmt.Sprint(at(r, "resources", 0)); !slices.Contains([]any{"get", "list", "watch"}, verb) &&
				resource != "events" {
				is = append(is, fmt.Sprint(verb, " ", resource))
			}
		}
	}
	return is
}

// A fresh install may only look; each action brings the rights that its row says, and no other.
func TestNoActionIsGrantedByDefault_S03(t *testing.T) {
	cases := map[string][]string{"": nil, "actions: null\n": nil}
	for _, a := range remediate.Actions() {
		if a.Writes() {
			cases[fmt.Sprintf("actions: { %s: true }\n", a.Name)] = writes(a.Rights)
		}
	}
	for values, want := range cases {
		if got := granted(t, render(t, shop+values)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", values, got, want)
		}
	}
}

// writes are the rights with which something can be changed.
func writes(rights []remediate.Right) (all []string) {
	for _, r := range rights {
		for _, verb := range r.Verbs {
			if !slices.Contains([]string{"get", "list", "watch"}, verb) {
				all = append(all, verb+" "+r.Resource)
			}
		}
	}
	return all
}

// The notes of the install say what does not fit together.
func TestTheNotesSayWhatIsMissing_S03(t *testing.T) {
	const acting = "config: { mode: auto, targets: [{ name: shop, namespace: shop, workload: deployment/shop }], " +
		"job_templates: { away: { file: /mnt/away.yaml } } }\n"
	for _, tc := range []struct {
		values string
		says   string
		is     bool
	}{
		{acting, "allows no action", true},
		{acting + "actions: { restart: true }\n", "allows no action", false},
		{shop, "allows no action", false},
		{shop, "no admission policy", false},
		{shop + "admissionPolicy: { enabled: false }\n",
			"no admission policy limits watchdog's service account (admissionPolicy.enabled is false)", true},
		{acting + "actions: { job: true }\n", "the job template away is not in extraFiles", true},
		{acting, "not in extraFiles", false},
	} {
		if notes := notes(t, tc.values); strings.Contains(notes, tc.says) != tc.is {
			t.Errorf("%q: %q is %v:\n%s", tc.values, tc.says, !tc.is, notes)
		}
	}
}
