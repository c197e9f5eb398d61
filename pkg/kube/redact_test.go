package kube

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// A secret in any of these places of a pod is in no evidence (S16).
func TestAPodInABundleHoldsNoValueThatMayBeSecret_S16_SEC22(t *testing.T) {
	container := `{"name":"app","image":"shop:2","command":["/bin/server","CANARY","--token","CANARY","-pCANARY","--port=8080CANARY"],
"args":["CANARY","--db-password=CANARY","--verbose","-v","sh -c 'x CANARY'"],
"env":[{"name":"LEVEL","value":"CANARY"},{"name":"FROM","valueFrom":{"secretKeyRef":{"name":"db","key":"password"}}}],
"ports":[{"containerPort":80}],
"livenessProbe":{"httpGet":{"path":"/health?key=CANARY","port":80,"httpHeaders":[{"name":"X-Key","value":"CANARY"}]}},
"readinessProbe":{"exec":{"command":["/probe","CANARY"]}},
"startupProbe":{"httpGet":{"path":"/ready","port":80,"httpHeaders":[{"name":"Cookie","value":"CANARY"}]}},
"lifecycle":{"postStart":{"exec":{"command":["curl","-H","X: CANARY"]}},
"preStop":{"httpGet":{"path":"/stop?t=CANARY","port":80,"httpHeaders":[{"name":"A","value":"CANARY"}]}}}}`
	spec := `{"initContainers":[` + container + `],"containers":[` + container + `],"ephemeralContainers":[` + container + `],
"volumes":[{"name":"a","csi":{"driver":"d","volumeAttributes":{"password":"CANARY"}}},
{"name":"b","flexVolume":{"driver":"d","options":{"x":"CANARY"}}},
{"name":"c","secret":{"secretName":"db"}}]}`
	var p corev1.Pod
	if err := json.Unmarshal([]byte(`{"metadata":{"name":"a","annotations":{"x":"CANARY"}},"spec":`+spec+`}`),
		&p); err != nil {
		t.Fatal(err)
	}
	redactPod(&p)
	pod, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	template := string(redactTemplate(json.RawMessage(`{"metadata":{"annotations":{"x":"CANARY"}},"spec":` + spec +
		`}`)))
	for what, text := range map[string]string{"pod": string(pod), "template": template} {
		if n := strings.Count(text, "CANARY"); n > 0 {
			t.Errorf("%s: a secret is in %d places: %s", what, n, text)
		}
		for _, kept := range []string{`"/bin/server"`, `"--token"`, `"--db-password=[redacted]"`, `"--port=[redacted]"`,
			`"--verbose"`, `"-v"`, `"shop:2"`, `"secretName":"db"`, `"/ready"`, `"/health?[redacted]"`,
			`"key":"password"`} {
			if !strings.Contains(text, kept) {
				t.Errorf("%s: %s is gone: %s", what, kept, text)
			}
		}
	}
}

func FuzzRedactArguments(f *testing.F) {
	f.Add("--token", "hunter2", "-p")
	f.Add("--a=b", "-X=y", "--A")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		was := []string{a, b, c}
		now := slices.Clone(was)
		redactArguments(now)
		for i, x := range now {
			name := strings.TrimSuffix(strings.TrimSuffix(x, redacted), "=")
			if name != "" && !flagName.MatchString(name) || !strings.HasPrefix(was[i], name) {
				t.Fatalf("%q became %q", was, now)
			}
		}
		again := slices.Clone(now)
		redactArguments(again)
		if !slices.Equal(again, now) {
			t.Fatalf("%q, then %q", now, again)
		}
	})
}

// A ReplicaSet has copies of its Deployment's annotations, which may hold anything.
func TestARevisionInABundleHasNoAnnotationsOfOthers_SEC22(t *testing.T) {
	got := rolloutAnnotations(map[string]string{"deployment.kubernetes.io/revision": "7",
		"kubernetes.io/change-cause": "v2.2.0", "example.com/api-token": "s3cret"})
	if len(got) != 2 || got["deployment.kubernetes.io/revision"] != "7" ||
		got["kubernetes.io/change-cause"] != "v2.2.0" {
		t.Errorf("%v", got)
	}
}
