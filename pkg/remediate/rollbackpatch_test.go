package remediate

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

// filled is the plan as it is sent.
func filled(t *testing.T, p incident.Plan, w Workload) incident.Plan {
	t.Helper()
	p, err := Fill(p, w)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// secretive is a pod template that holds secrets wherever one can.
func secretive(image, canary string) json.RawMessage {
	r := strings.NewReplacer("IMAGE", image, "CANARY", canary)
	return json.RawMessage(r.Replace(`{"metadata":{"labels":{"app":"agent-system"},"annotations":{"vault":"CANARY-annotation"}},
		"spec":{"hostAliases":[{"ip":"10.0.0.1","hostnames":["CANARY-host"]}],
"volumes":[{"name":"v","csi":{"driver":"d","volumeAttributes":{"password":"CANARY-volume"}}}],
"containers":[{"name":"app","image":"IMAGE","command":["run","--token=CANARY-command"],"args":["CANARY-arg"],
"env":[{"name":"PASSWORD","value":"CANARY-env"},{"name":"a.resources.b","value":"CANARY-dotted"},{"name":"x.image","value":"CANARY-image"}],
"resources":{"limits":{"cpu":"1"}},
"livenessProbe":{"httpGet":{"path":"/h","port":80,"httpHeaders":[{"name":"Authorization","value":"CANARY-header"}]}},
"lifecycle":{"preStop":{"exec":{"command":["curl","CANARY-hook"]}}}}]}}`))
}

// A rollback plan is stored, shown and told: nothing of the templates is in it but
// their names, and which fields change.
func TestARollbackPlanHoldsNoValueOfATemplate_S05_SEC21(t *testing.T) {
	f := facts("rollback")
	f.Workload.Template = secretive("agent-system:v2.2.0", "s3cret-new")
	f.Workload.Revisions[0].Template = f.Workload.Template
	f.Workload.Revisions[1].Template = secretive("agent-system:v2.1.5", "s3cret-old")
	p := mustPlan(t, f)
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "s3cret") {
		t.Errorf("a secret is in the plan: %s", b)
	}
	for _, want := range []string{"spec.containers.app.image from agent-system:v2.2.0 to agent-system:v2.1.5",
		"spec.containers.app.env.PASSWORD.value changed", "spec.containers.app.args changed",
		"spec.containers.app.livenessProbe.httpGet.httpHeaders.Authorization.value changed",
		"metadata.annotations.vault changed"} {
		if !slices.Contains(p.Changes, want) {
			t.Errorf("%q is not said:\n%s", want, strings.Join(p.Changes, "\n"))
		}
	}
	// What is sent is the whole of it, and the templates of other days are not.
	if sent := filled(t, p, f.Workload); !strings.Contains(string(sent.Patch), "s3cret-old-env") ||
		sent.Hash != p.Hash {
		t.Errorf("sent: %s", sent.Patch)
	}
}

func TestAPlanIsFilledOnlyWithWhatItNames_S05(t *testing.T) {
	p := mustPlan(t, facts("rollback"))
	for name, change := range map[string]func(*Workload){
		"the workload was deployed again": func(w *Workload) { w.Template = template("agent-system:v2.3.0") },
		"the revision is gone":            func(w *Workload) { w.Revisions = slices.Delete(w.Revisions, 1, 2) },
		"somebody wrote the ReplicaSet":   func(w *Workload) { w.Revisions[1].Template = template("evil:v1") },
	} {
		w := facts("rollback").Workload
		change(&w)
		if got, err := Fill(p, w); !errors.Is(err, ErrMoved) || got.Patch != nil {
			t.Errorf("%s: %v, %s", name, err, got.Patch)
		}
	}
	other := p
	other.Revision = &incident.Template{UID: p.Revision.UID, Sum: strings.Repeat("0", 64)}
	if Hash(other) == Hash(p) {
		t.Error("an approval of one template is one of another")
	}
	if scale := mustPlan(t, facts("scale")); string(filled(t, scale, Workload{}).Patch) != string(scale.Patch) {
		t.Error("a plan that names no template is filled")
	}
}

func TestManyChangesAreCut(t *testing.T) {
	var env []string
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		env = append(env, `{"name":"`+string(c)+`","value":"1"}`)
	}
	all := changes(json.RawMessage(`{"spec":{"containers":[{"name":"app"}]}}`),
		json.RawMessage(`{"spec":{"containers":[{"name":"app","env":[`+strings.Join(env, ",")+`]}],"x":1}}`))
	if len(all) != 2 || all[0] != "spec.containers.app.env added" {
		t.Errorf("%v", all)
	}
	all = changes(json.RawMessage(`{"spec":{"containers":[{"name":"app","env":[{"name":"z0","value":"1"}]}]}}`),
		json.RawMessage(`{"spec":{"containers":[{"name":"app","env":[`+strings.Join(env, ",")+`]}]}}`))
	if len(all) != maxChanges+1 || all[maxChanges] != "7 more" {
		t.Errorf("%d: %v", len(all), all[len(all)-1])
	}
}
