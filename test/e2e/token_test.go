//go:build integration

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/incident"
)

// stolen is the scene whose watchdog's token is in other hands: what it asks for is no
// request of watchdog.
const stolen = "stolen"

// thief is a client with the token of the scene's watchdog.
func thief(t *testing.T, s *demo.Scene) *kubernetes.Clientset {
	t.Helper()
	r, err := tb.Kube.CoreV1().ServiceAccounts(s.Watchdog).CreateToken(t.Context(),
		"watchdog", &authentication.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := rest.AnonymousClientConfig(tb.Config)
	c.BearerToken, c.QPS, c.Burst = r.Status.Token, 200, 400
	k, err := kubernetes.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// rich gives the scene's deployment what a thief would like to have more of, and an
// autoscaler.
func rich(t *testing.T, s *demo.Scene) {
	t.Helper()
	for _, secret := range []string{"db-2456789bcd", "db-hkmt2456h7", "other"} {
		kubectl(t, s.Namespace, "", "create", "secret", "generic", secret, "--from-literal=password=x")
	}
	kubectl(t, s.Namespace, "", "create", "configmap", "settings", "--from-literal=LEVEL=info")
	kubectl(t, s.Namespace, "", "patch", "deployment", "agent-system", "-p",
		`{"spec":{"template":{"metadata":{"annotations":{"checksum/config":"1",
		"container.security.test/agent-system":"strict"}},"spec":{
	  "volumes":[{"name":"db","secret":{"secretName":"db-2456789bcd"}}],
	  "containers":[{"name":"agent-system","envFrom":[{"configMapRef":{"name":"settings"}}],"env":[
	    {"name":"RELEASE","value":"1"},{"name":"JAVA_TOOL_OPTIONS","value":"-Xmx64m"},
	    {"name":"DB_PASSWORD","valueFrom":{"secretKeyRef":{"name":"db-2456789bcd","key":"password"}}}]}]}}}}`)
	rolledOut(t, s)
	if err := s.Annotate(t.Context(), "watchdog.io/hold", "a person works on it"); err != nil {
		t.Fatal(err)
	}
	autoscaled(t, s)
}

// TestTheStolenTokenIsWorthLittle_S03_SEC10: with the real token of watchdog's service
// account, what it does not do itself is refused with a sentence; what it does, and a
// rollback that adds nothing, is let through.
func TestTheStolenTokenIsWorthLittle_S03_SEC10(t *testing.T) {
	s := stage(t, stolen)
	rich(t, s)
	s.Values = map[string]any{"extraFiles": map[string]any{"clean.yaml": jobManifest}}
	installText(t, s, config(t, s, "agents")+"api: { control: true }\njob_templates:\n  clean: { file: clean.yaml }\n",
		"actions.job=true")
	k := thief(t, s)
	eventually(t, time.Minute, "the policies to be in force", func(ctx context.Context) (string, bool) {
		err := patchIt("deployments", `{"spec":{"replicas":0}}`)(ctx, k, s, metav1.DryRunAll)
		return fmt.Sprint(err), err != nil && strings.Contains(err.Error(), "one replica at least")
	})
	before, err := s.Deployment(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	var refused int
	try := func(a attempt) {
		err := a.do(t.Context(), k, s)
		switch {
		case err == nil:
			t.Errorf("DONE: %s", a.name)
		case !strings.Contains(err.Error(), a.says):
			t.Errorf("%s: refused, and it does not say %q: %v", a.name, a.says, err)
		default:
			refused++
			t.Logf("refused: %-42s %s", a.name, gist(err))
		}
	}
	for _, a := range theft() {
		try(a)
	}
	byRights := refusedByRights()
	for _, a := range byRights {
		a.says = "cannot "
		try(a)
	}
	for name, do := range harmless() {
		if err := do(t.Context(), k, s, metav1.DryRunAll); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		} else {
			t.Logf("let through: %s", name)
		}
	}

	// Somebody grants more than the chart does: what changes something is refused all the same.
	for _, ns := range []string{s.Namespace, s.Watchdog} {
		if _, err := tb.Kube.RbacV1().RoleBindings(ns).Create(t.Context(),
			&rbac.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "too-much"},
				RoleRef:  rbac.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "admin"},
				Subjects: []rbac.Subject{{Kind: "ServiceAccount", Name: "watchdog", Namespace: s.Watchdog}}},
			metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range byRights {
		if a.reads {
			continue
		}
		a.name += " (as admin)"
		a.says = "watchdog does not make this request"
		if a.admin != "" {
			a.says = a.admin
		}
		try(a)
	}

	if refused < 30 {
		t.Errorf("%d attempts refused", refused)
	}
	after, err := s.Deployment(t.Context())
	if err != nil || after.Generation != before.Generation ||
		fmt.Sprint(after.Annotations, after.Labels, after.Finalizers) != fmt.Sprint(before.Annotations, before.Labels,
			before.Finalizers) {
		t.Errorf("something was changed (%v): %+v", err, after)
	}
	witnessed(t, s, refused)
	wellTyped(t, s)
}

// gist is what a refusal says of its reason, in a few words: what was asked for and by
// whom is the same in all of them.
func gist(err error) string {
	text := err.Error()
	for _, before := range []string{" denied request: ", " is forbidden: "} {
		if _, after, ok := strings.Cut(text, before); ok {
			text = after
			break
		}
	}
	const enough = 90
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if r := []rune(text); len(r) > enough {
		text = string(r[:enough]) + "…"
	}
	return text
}

// witnessed: the API server's own record names each refusal by a policy, and holds no
// write of the thief that was kept.
func witnessed(t *testing.T, s *demo.Scene, refused int) {
	t.Helper()
	denied, forbidden := 0, 0
	for _, r := range requests(t, s) {
		switch {
		case r.Annotations["authorization.k8s.io/decision"] == "forbid":
			forbidden++
		case r.Annotations["validation.policy.admission.k8s.io/validation_failure"] != "":
			denied++
		case r.mutates() && !r.own() && r.ResponseStatus.Code < 300 && !strings.Contains(r.RequestURI, "dryRun=All"):
			t.Errorf("kept: %s %s %s", r.Verb, r.RequestURI, r.RequestObject)
		}
	}
	t.Logf("the audit log: %d requests refused by a policy, %d for want of a right; %d attempts were refused", denied,
		forbidden, refused)
	if denied < 30 || forbidden == 0 {
		t.Error("the audit log does not show them")
	}
}

// wellTyped: the API server has nothing to say against the policies' expressions.
func wellTyped(t *testing.T, s *demo.Scene) {
	t.Helper()
	all, err := tb.Kube.AdmissionregistrationV1().ValidatingAdmissionPolicies().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range all.Items {
		if !strings.HasPrefix(p.Name, "watchdog."+s.Watchdog+".") {
			continue
		}
		n++
		if c := p.Status.TypeChecking; c != nil && len(c.ExpressionWarnings) > 0 {
			t.Errorf("%s: %+v", p.Name, c.ExpressionWarnings)
		}
	}
	if n != 4 {
		t.Errorf("%d policies", n)
	}
}

// TestARollbackThatThePolicyRefusesIsAPersons_S03: the release dropped a variable, so that
// going back would add one. It is tried once, and the page says what refused it.
func TestARollbackThatThePolicyRefusesIsAPersons_S03(t *testing.T) {
	s := stage(t, "refused-rollback")
	kubectl(t, s.Namespace, "", "set", "env", "deployment/agent-system", "OLD_SETTING=1")
	rolledOut(t, s)
	install(t, s, "release")
	good(t, s)
	users(t, s)
	kubectl(t, s.Namespace, "", "patch", "deployment", "agent-system", "-p",
		`{"spec":{"template":{"spec":{"containers":[{"name":"agent-system","image":"agent-system:v2.2.0",`+
			`"env":[{"name":"OLD_SETTING","$patch":"delete"}]}]}}}}`)
	inc, err := s.WaitIncident(within(t, 2*time.Minute), "a person's",
		func(i incident.Incident) bool { return i.Phase == incident.Escalated && i.Paged })
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"denied by an admission policy or webhook", "make the change manually",
		"would give a container a variable"} {
		if !strings.Contains(inc.PageReason, want) {
			t.Errorf("the page does not say %q: %s", want, inc.PageReason)
		}
	}
	t.Logf("the page: %s", inc.PageReason)
	if got := attempts(t, s); len(got) != 1 || got[0].ResponseStatus.Code != 403 {
		t.Errorf("%d attempts, want one that is refused: %+v", len(got), got)
	}
}

// TestARollbackThatDropsASecretIsDone_S03: the release added a Secret, a label, a variable
// and a port, and went to another ConfigMap. Going back adds nothing.
func TestARollbackThatDropsASecretIsDone_S03(t *testing.T) {
	s := stage(t, "dropped-secret")
	kubectl(t, s.Namespace, "", "create", "secret", "generic", "new", "--from-literal=password=x")
	for _, v := range []string{"settings-v1", "settings-v2"} {
		kubectl(t, s.Namespace, "", "create", "configmap", v, "--from-literal=LEVEL=info")
	}
	kubectl(t, s.Namespace, "", "patch", "deployment", "agent-system", "-p",
		`{"spec":{"template":{"spec":{"containers":[{"name":"agent-system","env":[{"name":"RELEASE","value":"1"}],`+
			`"envFrom":[{"configMapRef":{"name":"settings-v1"}}]}]}}}}`)
	rolledOut(t, s)
	install(t, s, "release")
	good(t, s)
	users(t, s)
	kubectl(t, s.Namespace, "", "patch", "deployment", "agent-system", "-p",
		`{"spec":{"template":{"metadata":{"labels":{"version":"v2"}},"spec":{
	  "volumes":[{"name":"new","secret":{"secretName":"new"}}],
	  "containers":[{"name":"agent-system","image":"agent-system:v2.2.0","ports":[{"containerPort":8081}],
	    "env":[{"name":"RELEASE","value":"2"},{"name":"NEW","value":"1"}],
	    	"envFrom":[{"configMapRef":{"name":"settings-v2"}}],"resources":{"requests":{"cpu":"50m"}}}]}}}}`)
	rolledBack(t, s)
	d, err := s.Deployment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := d.Spec.Template.Spec; len(c.Volumes) != 0 || len(c.Containers[0].Env) != 2 ||
		c.Containers[0].Image != "agent-system:v2.1.5" {
		t.Errorf("it has %+v", c)
	}
}
