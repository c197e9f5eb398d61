//go:build integration

package chart

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const policyKind = "ValidatingAdmissionPolicy"

// expressions are what the rules of an admission policy say, one after the other.
func expressions(t *testing.T, all []object, policy string) string {
	t.Helper()
	var text []string
	for _, v := range at(find(t, all, policyKind, policy), "spec", "validations").([]any) {
		text = append(text, fmt.Sprint(at(v, "expression")))
	}
	return strings.Join(text, "\n")
}

func names(all []object, kind string) (is []string) {
	for _, o := range all {
		if o["kind"] == kind {
			is = append(is, at(o, "metadata", "name").(string))
		}
	}
	slices.Sort(is)
	return is
}

// The policies come with the chart wherever the cluster can have them. A chart that is
// rendered without a cluster does not know, and leaves none of them out.
func TestThePoliciesAreThereWhereTheAPIIs_S03(t *testing.T) {
	want := []string{"wd-watchdog.ops.autoscalers", "wd-watchdog.ops.others", "wd-watchdog.ops.workloads"}
	for name, tc := range map[string]struct {
		values string
		args   []string
		want   []string
	}{
		"no cluster": {"", nil, want},
		"a cluster that has it": {"", []string{"--api-versions", "v1/Pod", "--api-versions",
			"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"}, want},
		"a cluster without it":    {"", []string{"--api-versions", "v1/Pod"}, nil},
		"off":                     {"admissionPolicy: { enabled: false }\n", nil, nil},
		"every namespace is seen": {"rbac: { scope: cluster }\n", nil, want},
	} {
		t.Run(name, func(t *testing.T) {
			all := render(t, shop+tc.values, tc.args...)
			if got := names(all, policyKind); !slices.Equal(got, tc.want) {
				t.Errorf("policies %v, want %v", got, tc.want)
			}
			if got := names(all, policyKind+"Binding"); !slices.Equal(got, tc.want) {
				t.Errorf("bindings %v, want %v", got, tc.want)
			}
		})
	}
}

// Each policy is about watchdog's service account only, refuses when it cannot tell, and
// has a name of its own in the cluster.
func TestThePoliciesAreAboutWatchdogAndClosed_S03(t *testing.T) {
	all := render(t, job+"serviceAccount: { name: dog }\n")
	if got := names(all, policyKind); len(got) != 4 {
		t.Fatalf("policies %v", got)
	}
	for _, o := range all {
		switch o["kind"] {
		case policyKind:
			if at(o, "spec", "failurePolicy") != "Fail" || at(o, "spec", "matchConditions", 0,
				"expression") != "request.userInfo.username == 'system:serviceaccount:ops:dog'" {
				t.Errorf("%v: %v", at(o, "metadata", "name"), at(o, "spec"))
			}
			for _, v := range at(o, "spec", "validations").([]any) {
				said, _ := at(v, "message").(string)
				if at(v, "reason") != "Forbidden" || said == "" && at(v, "messageExpression") == nil ||
					strings.Contains(said, "\n") {
					t.Errorf("%v: %v", at(o, "metadata", "name"), v)
				}
			}
		case policyKind + "Binding":
			if !slices.Contains(names(all, policyKind), at(o, "spec", "policyName").(string)) ||
				fmt.Sprint(at(o, "spec", "validationActions")) != "[Deny Audit]" {
				t.Errorf("%v", o)
			}
		}
	}
	other := render(t, job+"fullnameOverride: other\n")
	for _, n := range names(other, policyKind) {
		if slices.Contains(names(all, policyKind), n) {
			t.Errorf("two releases share the policy %s", n)
		}
	}
}

// What actions is false of is not only not granted, it is refused.
func TestThePoliciesFollowTheActions_S03(t *testing.T) {
	const raises, template = "object.spec.replicas >= 1", "variables.oldContainers"
	for values, want := range map[string]struct{ scale, restart, rollback bool }{
		"actions: { scale: true, restart: true, rollback: true }":    {true, true, true},
		"actions: { scale: false, restart: true, rollback: false }":  {false, true, false},
		"actions: { scale: true, restart: false, rollback: false }":  {true, false, false},
		"actions: { scale: false, restart: false, rollback: false }": {false, false, false},
	} {
		text := expressions(t, render(t, shop+values+"\n"), ".workloads")
		if strings.Contains(text, raises) != want.scale || strings.Contains(text, "restartedAt") != want.restart ||
			strings.Contains(text, template) != want.rollback {
			t.Errorf("%s:\n%s", values, text)
		}
	}
	text := expressions(t, render(t, "actions: { scale: true }\nconfig: { guards: { max_replicas: 7 } }\n"),
		".autoscalers")
	if !strings.Contains(text, "<= 7") {
		t.Errorf("the policy does not know guards.max_replicas:\n%s", text)
	}
}

// What a rollback may change is a value, closed by default.
func TestThePoliciesFollowTheValues_S03(t *testing.T) {
	const acts = "actions: { rollback: true }\n"
	plain := expressions(t, render(t, shop+acts), ".workloads")
	if strings.Contains(plain, "'workingDir'") || !strings.Contains(plain, "configMapKeyRef") {
		t.Errorf("%s", plain)
	}
	open := expressions(t, render(t, shop+acts+"admissionPolicy: { rollback: { command: true, env: false, images: "+
		"[r.example.com:5000/shop] } }\n"), ".workloads")
	if !strings.Contains(open, "'workingDir'") || strings.Contains(open, "configMapKeyRef") ||
		!strings.Contains(open, ", 'r.example.com:5000/shop']") {
		t.Errorf("%s", open)
	}
	for _, wrong := range []string{"admissionPolicy: { enabeld: true }",
		"admissionPolicy: { rollback: { images: ['x:v1'] } }",
		`admissionPolicy: { rollback: { images: ["x' || true || 'y"] } }`, "admissionPolicy: { enabled: yes please }"} {
		if _, err := helm(t, shop+wrong+"\n"); err == nil || !strings.Contains(err.Error(), "/admissionPolicy") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

const job = `actions: { job: true }
config:
  targets: [{ name: shop, namespace: shop, workload: deployment/shop }]
  job_templates: { clean: { file: jobs/clean.yaml }, elsewhere: { file: /mnt/other.yaml } }
extraFiles:
  clean.yaml: |
    apiVersion: batch/v1
    kind: Job
    spec:
      template:
        metadata: { labels: { team: a } }
        spec: { restartPolicy: Never, securityContext: { runAsUser: 1000650000 }, containers: [{ name: clean, image: "tools:v1" }] }
`

// The manifest of a Job is kept where the API server compares it, and only that of a Job
// whose manifest the chart has.
func TestTheJobsAreThoseOfTheirTemplates_S03(t *testing.T) {
	all := render(t, job)
	if got := names(all, "PodTemplate"); !slices.Equal(got, []string{"wd-watchdog-job-clean"}) {
		t.Fatalf("templates %v", got)
	}
	p := find(t, all, "PodTemplate", "-clean")
	if at(p, "metadata", "namespace") != "ops" || at(p, "metadata", "annotations",
		"watchdog.io/job-names") != "^watchdog-clean-[a-z0-9]{8}$" ||
		at(p, "template", "spec", "securityContext", "runAsUser") != 1000650000 ||
		at(p, "template", "metadata", "labels", "team") != "a" {
		t.Errorf("%v", p)
	}
	b := find(t, all, policyKind+"Binding", ".jobs.clean")
	if at(b, "spec", "paramRef", "name") != "wd-watchdog-job-clean" ||
		at(b, "spec", "paramRef", "namespace") != "ops" || at(b, "spec", "paramRef",
		"parameterNotFoundAction") != "Deny" {
		t.Errorf("%v", b)
	}
	if text := expressions(t, all, ".others"); !strings.Contains(text, "matches('^watchdog-clean-[a-z0-9]{8}$')") ||
		strings.Contains(text, "elsewhere") {
		t.Errorf("%s", text)
	}
	without := render(t, strings.Replace(job, "job: true", "job: false", 1))
	if got := append(names(without, "PodTemplate"), names(without, policyKind)...); len(got) != 3 {
		t.Errorf("without the action: %v", got)
	}
	if text := expressions(t, without, ".others"); strings.Contains(text, "watchdog-clean") {
		t.Errorf("%s", text)
	}
}
