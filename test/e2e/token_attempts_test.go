//go:build integration

package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	authentication "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"watchdog.io/watchdog/internal/demo"
)

// attempt is something that watchdog never does, and what the refusal says.
type attempt struct {
	name  string
	do    asks
	says  string
	reads bool   // admission is not asked about it
	admin string // what refuses it to an admin, if it is not the policy about everything else
}

// asks asks the API server for one thing.
type asks func(ctx context.Context, k *kubernetes.Clientset, s *demo.Scene, dryRun ...string) error

func client(k *kubernetes.Clientset, resource string) (api rest.Interface, name string) {
	switch resource {
	case "deployments":
		return k.AppsV1().RESTClient(), "agent-system"
	case "horizontalpodautoscalers":
		return k.AutoscalingV2().RESTClient(), "agent-system-hpa"
	case "jobs":
		return k.BatchV1().RESTClient(), ""
	}
	return k.CoreV1().RESTClient(), ""
}

func sent(ctx context.Context, r *rest.Request, dryRun []string) error {
	if len(dryRun) > 0 {
		r = r.Param("dryRun", dryRun[0])
	}
	return r.Do(ctx).Error()
}

// patchIt patches the scene's deployment or autoscaler.
func patchIt(resource, patch string) asks {
	return func(ctx context.Context, k *kubernetes.Clientset, s *demo.Scene, dryRun ...string) error {
		api, name := client(k, resource)
		return sent(ctx, api.Patch(types.StrategicMergePatchType).Namespace(s.Namespace).Resource(resource).Name(name).
			Body([]byte(patch)), dryRun)
	}
}

// createIt creates an object in the scene's namespace.
func createIt(resource, object string) asks {
	return func(ctx context.Context, k *kubernetes.Clientset, s *demo.Scene, dryRun ...string) error {
		api, _ := client(k, resource)
		return sent(ctx, api.Post().Namespace(s.Namespace).Resource(resource).Body([]byte(object)).
			SetHeader("Content-Type", "application/json"), dryRun)
	}
}

// pathed asks for a path; NS and WD are the namespaces of the application and of watchdog.
func pathed(verb, path, body string) asks {
	return func(ctx context.Context, k *kubernetes.Clientset, s *demo.Scene, dryRun ...string) error {
		r := k.CoreV1().RESTClient().Verb(verb).AbsPath(filled(s, path))
		if body != "" {
			r = r.Body([]byte(filled(s, body))).SetHeader("Content-Type",
				map[string]string{"PATCH": "application/merge-patch+json", "POST": "application/json"}[verb])
		}
		return sent(ctx, r, dryRun)
	}
}

func filled(s *demo.Scene, text string) string {
	return strings.NewReplacer("NS", s.Namespace, "WD", s.Watchdog).Replace(text)
}

// pod is a patch of the pod's spec, its container's, or the whole template.
func pod(spec string) asks {
	return patchIt("deployments", `{"spec":{"template":{"spec":`+spec+`}}}`)
}

func its(container string) asks {
	return pod(`{"containers":[{"name":"agent-system",` + container + `}]}`)
}

func meta(metadata string) asks {
	return patchIt("deployments", `{"metadata":`+metadata+`}`)
}

func jobOf(name, spec, pod string) asks {
	return createIt("jobs",
		fmt.Sprintf(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":%q,"labels":{"watchdog.io/op":"x"}},`+
			`"spec":{"activeDeadlineSeconds":60,"backoffLimit":0,%s"template":{"spec":{"restartPolicy":"Never",%s}}}}`,
			name, spec, pod))
}

const toolsV1 = `"containers":[{"name":"clean","image":"tools:v1"}]`

// theft is what watchdog's rights would permit and its policies do not.
func theft() []attempt {
	deployment := []attempt{
		{name: "image of another repository", do: its(`"image":"evil:v1"`), says: "another repository"},
		{name: "image of that name elsewhere", do: its(`"image":"evil.example:5000/agent-system:v2.1.5"`),
			says: "another repository"},
		{name: "image of a longer name", do: its(`"image":"agent-system-evil:v2.1.5"`), says: "another repository"},
		{name: "image by digest, elsewhere",
			do: its(`"image":"evil.example/` +
				`agent-system@sha256:0000000000000000000000000000000000000000000000000000000000000000"`),
			says: "another repository"},
		{name: "privileged", do: its(`"securityContext":{"privileged":true}`), says: "security context"},
		{name: "privilege escalation", do: its(`"securityContext":{"allowPrivilegeEscalation":true}`),
			says: "security context"},
		{name: "a capability", do: its(`"securityContext":{"capabilities":{"add":["SYS_ADMIN"]}}`),
			says: "security context"},
		{name: "command", do: its(`"command":["/bin/sh","-c","evil"]`), says: "command"},
		{name: "arguments", do: its(`"args":["--evil"]`), says: "command"},
		{name: "postStart hook", do: its(`"lifecycle":{"postStart":{"exec":{"command":["evil"]}}}`), says: "lifecycle"},
		{name: "liveness probe runs a command", do: its(`"livenessProbe":{"httpGet":null,"exec":{"command":["evil"]}}`),
			says: "a probe run another command"},
		{name: "readiness probe asks another host", do: its(`"readinessProbe":{"httpGet":{"host":"169.254.169.254"}}`),
			says: "ask another host"},
		{name: "variable from another Secret",
			do:   its(`"env":[{"name":"LOOT","valueFrom":{"secretKeyRef":{"name":"other","key":"password"}}}]`),
			says: "a variable"},
		{name: "its variable from another Secret",
			do:   its(`"env":[{"name":"DB_PASSWORD","valueFrom":{"secretKeyRef":{"name":"other","key":"password"}}}]`),
			says: "a variable"},
		{name: "LD_PRELOAD", do: its(`"env":[{"name":"LD_PRELOAD","value":"/tmp/evil.so"}]`), says: "a variable"},
		{name: "other JAVA_TOOL_OPTIONS",
			do:   its(`"env":[{"name":"JAVA_TOOL_OPTIONS","value":"-javaagent:/tmp/evil.jar"}]`),
			says: "options to an interpreter"},
		{name: "a value that quotes a Secret", do: its(`"env":[{"name":"RELEASE","value":"$(DB_PASSWORD)"}]`),
			says: "quote no other variable"},
		{name: "all variables of a Secret", do: its(`"envFrom":[{"secretRef":{"name":"other"}}]`),
			says: "variables of a Secret"},
		{name: "port of the node", do: its(`"ports":[{"containerPort":8080,"hostPort":80}]`), says: "a port"},
		{name: "mount at another place", do: its(`"volumeMounts":[{"name":"db","mountPath":"/usr/bin"}]`),
			says: "a mount"},
		{name: "init container", do: pod(`{"initContainers":[{"name":"evil","image":"agent-system:v2.1.5"}]}`),
			says: "a container"},
		{name: "one more container", do: pod(`{"containers":[{"name":"evil","image":"agent-system:v2.1.5"}]}`),
			says: "a container"},
		{name: "service account", do: pod(`{"serviceAccountName":"admin"}`), says: "service account"},
		{name: "token of the service account", do: pod(`{"automountServiceAccountToken":true}`),
			says: "service account"},
		{name: "root", do: pod(`{"securityContext":{"runAsUser":0}}`), says: "security context"},
		{name: "the node's network", do: pod(`{"hostNetwork":true}`), says: "host access"},
		{name: "the node's processes", do: pod(`{"hostPID":true}`), says: "host access"},
		{name: "a node of its choice", do: pod(`{"nodeName":"node-1"}`), says: "node"},
		{name: "toleration of the control plane", do: pod(`{"tolerations":[{"operator":"Exists"}]}`), says: "node"},
		{name: "hostPath", do: pod(`{"volumes":[{"name":"evil","hostPath":{"path":"/"}}]}`), says: "a volume"},
		{name: "Secret volume", do: pod(`{"volumes":[{"name":"evil","secret":{"secretName":"other"}}]}`),
			says: "a volume"},
		{name: "its volume from another Secret", do: pod(`{"volumes":[{"name":"db","secret":{"secretName":"other"}}]}`),
			says: "a volume"},
		{name: "projected token",
			do: pod(`{"volumes":[{"name":"evil","projected":{"sources":[{"serviceAccountToken":{"path":"t",` +
				`"audience":"vault"}}]}}]}`), says: "a volume"},
		{name: "annotation that an injector reads",
			do: patchIt("deployments",
				`{"spec":{"template":{"metadata":{"annotations":{"vault.hashicorp.com/agent-inject":"true"}}}}}`),
			says: "a label or an annotation"},
		{name: "no confinement any more", do: patchIt("deployments",
			`{"spec":{"template":{"metadata":{"annotations":{"container.security.test/agent-system":null}}}}}`),
			says: "one of their security"},
		{name: "label that a Service selects",
			do:   patchIt("deployments", `{"spec":{"template":{"metadata":{"labels":{"app2":"payments"}}}}}`),
			says: "a label or an annotation"},
		{name: "no replicas", do: patchIt("deployments", `{"spec":{"replicas":0}}`), says: "one replica at least"},
		{name: "51 replicas", do: patchIt("deployments", `{"spec":{"replicas":51}}`), says: "50 at most"},
		{name: "strategy", do: patchIt("deployments",
			`{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}`), says: "strategy"},
		{name: "pause", do: patchIt("deployments", `{"spec":{"paused":true}}`), says: "its pause"},
		{name: "no history", do: patchIt("deployments", `{"spec":{"revisionHistoryLimit":0}}`), says: "anything else"},
		{name: "selector", do: patchIt("deployments", `{"spec":{"selector":{"matchLabels":{"x":"y"}}}}`),
			says: "immutable"},
		{name: "labels", do: meta(`{"labels":{"app.kubernetes.io/managed-by":"evil"}}`), says: "labels"},
		{name: "finalizer", do: meta(`{"finalizers":["evil.example/keep"]}`), says: "finalizers"},
		{name: "owner", do: meta(`{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"settings",` +
			`"uid":"00000000-0000-0000-0000-000000000000"}]}`), says: "owners"},
		{name: "another's annotation", do: meta(`{"annotations":{"argocd.argoproj.io/tracking-id":"x"}}`),
			says: "changes no other"},
		{name: "a mark of watchdog's", do: meta(`{"annotations":{"watchdog.io/no-rollback":"x"}}`),
			says: "changes no other"},
		{name: "a person's hold, lifted", do: meta(`{"annotations":{"watchdog.io/hold":null}}`),
			says: "set by their own rights"},
		{name: "a person's hold, ended", do: meta(`{"annotations":{"watchdog.io/hold-until":"2000-01-01T00:00:00Z"}}`),
			says: "set by their own rights"},
		{name: "a person's hold, made watchdog's", do: meta(`{"annotations":{"watchdog.io/hold-source":"slack"}}`),
			says: "set by their own rights"},
		{name: "a claim for another", do: meta(`{"annotations":{"watchdog.io/managed-by":"evil"}}`),
			says: "for no other"},
	}
	return append(deployment,
		attempt{name: "maximum of the autoscaler",
			do: patchIt("horizontalpodautoscalers", `{"spec":{"maxReplicas":1000}}`), says: "its maximum"},
		attempt{name: "target of the autoscaler",
			do:   patchIt("horizontalpodautoscalers", `{"spec":{"scaleTargetRef":{"name":"other"}}}`),
			says: "its target"},
		attempt{name: "labels of the autoscaler",
			do: patchIt("horizontalpodautoscalers", `{"metadata":{"labels":{"a":"b"}}}`), says: "labels"},
		attempt{name: "Job of another name", do: jobOf("evil", "", toolsV1), says: "no others"},
		attempt{name: "Job of another image",
			do:   jobOf("watchdog-clean-00abcdef", "", `"containers":[{"name":"clean","image":"evil:v1"}]`),
			says: "not those of its template"},
		attempt{name: "privileged Job", do: jobOf("watchdog-clean-00abcdef", "",
			`"containers":[{"name":"clean","image":"tools:v1","securityContext":{"privileged":true}}]`),
			says: "not those of its template"},
		attempt{name: "Job with a command",
			do: jobOf("watchdog-clean-00abcdef", "",
				`"containers":[{"name":"clean","image":"tools:v1","command":["evil"]}]`),
			says: "not those of its template"},
		attempt{name: "Job with a Secret",
			do: jobOf("watchdog-clean-00abcdef", "",
				`"volumes":[{"name":"s","secret":{"secretName":"other"}}],`+toolsV1),
			says: "not those of its template"},
		attempt{name: "Job of another account",
			do:   jobOf("watchdog-clean-00abcdef", "", `"serviceAccountName":"admin",`+toolsV1),
			says: "not those of its template"},
		attempt{name: "Job of a thousand pods", do: jobOf("watchdog-clean-00abcdef", `"parallelism":1000,`, toolsV1),
			says: "many pods"},
		attempt{name: "Job that takes others' pods", do: createIt("jobs",
			`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"watchdog-clean-00abcdef"},"spec":{
			"activeDeadlineSeconds":60,"backoffLimit":0,
		  "manualSelector":true,"selector":{"matchLabels":{"job-name":"x"}},
		  	"template":{"metadata":{"labels":{"job-name":"x"}},"spec":{"restartPolicy":"Never",`+
				toolsV1+`}}}}`), says: "not its own"},
	)
}

// refusedByRights is what RBAC grants nothing of.
func refusedByRights() []attempt {
	const deployment = "/apis/apps/v1/namespaces/NS/deployments/agent-system"
	return []attempt{
		{name: "delete the deployment", do: pathed("DELETE", deployment, "")},
		{name: "its scale", do: pathed("PATCH", deployment+"/scale", `{"spec":{"replicas":1}}`)},
		{name: "create a deployment by apply", do: func(ctx context.Context, k *kubernetes.Clientset, s *demo.Scene,
			_ ...string) error {
			return k.AppsV1().RESTClient().Patch(types.ApplyPatchType).Namespace(s.Namespace).
				Resource("deployments").Name("evil").Param("fieldManager", "evil").
				Body([]byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"evil"},` +
					`"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},` +
					`"spec":{"containers":[{"name":"c","image":"evil"}]}}}}`)).Do(ctx).Error()
		}},
		{name: "create a pod", do: createIt("pods",
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"evil"},"spec":{"containers":[{"name":"c","image":"evil"}]}}`)},
		{name: "delete all pods", do: pathed("DELETE", "/api/v1/namespaces/NS/pods", "")},
		{name: "execute in a pod", do: func(ctx context.Context, k *kubernetes.Clientset, s *demo.Scene,
			_ ...string) error {
			pods, err := tb.Kube.CoreV1().Pods(s.Namespace).List(ctx,
				metav1.ListOptions{LabelSelector: "app=agent-system"})
			if err != nil {
				return err
			}
			return k.CoreV1().RESTClient().Post().Namespace(s.Namespace).Resource("pods").Name(pods.Items[0].Name).
				SubResource("exec").Param("command", "evil").Do(ctx).Error()
		}},
		{name: "create a Secret", do: createIt("secrets",
			`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"evil"}}`)},
		{name: "create a ConfigMap", do: createIt("configmaps",
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"evil"}}`)},
		{name: "change its own configuration",
			do: pathed("PATCH", "/api/v1/namespaces/WD/configmaps/watchdog", `{"data":{"watchdog.yaml":""}}`)},
		{name: "change a Job's template", do: pathed("PATCH", "/api/v1/namespaces/WD/podtemplates/watchdog-job-clean",
			`{"metadata":{"annotations":{"watchdog.io/job-names":".*"}}}`), admin: "cannot "},
		{name: "make a token", do: func(ctx context.Context, k *kubernetes.Clientset, s *demo.Scene,
			_ ...string) error {
			_, err := k.CoreV1().ServiceAccounts(s.Namespace).CreateToken(ctx,
				"default", &authentication.TokenRequest{}, metav1.CreateOptions{})
			return err
		}},
		{name: "grant itself more", do: pathed("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings",
			`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"evil"},`+
				`"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},`+
				`"subjects":[{"kind":"ServiceAccount","name":"watchdog","namespace":"WD"}]}`)},
		{name: "end a policy", do: pathed("DELETE",
			"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/watchdog.WD.workloads", ""),
			admin: "cannot "},
		{name: "unbind a policy", do: pathed("DELETE",
			"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/watchdog.WD.workloads", ""),
			admin: "cannot "},
		{name: "mark a namespace", do: pathed("PATCH", "/api/v1/namespaces/NS",
			`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`), admin: "cannot "},
		{name: "read the Secrets", do: pathed("GET", "/api/v1/namespaces/NS/secrets", ""), reads: true},
		{name: "read a Secret of its own namespace", do: pathed("GET", "/api/v1/namespaces/WD/secrets/receivers", ""),
			reads: true},
		{name: "be somebody else", do: func(ctx context.Context, k *kubernetes.Clientset, s *demo.Scene,
			_ ...string) error {
			return k.CoreV1().RESTClient().Get().Namespace(s.Namespace).Resource("pods").SetHeader("Impersonate-User",
				"admin").Do(ctx).Error()
		}, reads: true},
	}
}

// harmless is what watchdog writes, and a rollback that adds nothing.
func harmless() map[string]asks {
	at := time.Now().UTC().Format(time.RFC3339)
	return map[string]asks{
		"restart": patchIt("deployments",
			`{"metadata":{"annotations":{"watchdog.io/op":"x"}},`+
				`"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"`+at+`"}}}}}`),
		"scale": patchIt("deployments",
			`{"metadata":{"annotations":{"watchdog.io/op":"x"}},"spec":{"replicas":4}}`),
		"raise the minimum": patchIt("horizontalpodautoscalers",
			`{"metadata":{"annotations":{"watchdog.io/op":"x"}},"spec":{"minReplicas":4}}`),
		"Job of a template": jobOf("watchdog-clean-00abcdef", "", toolsV1),
		"another tag":       its(`"image":"agent-system:v2.1.4"`),
		"a digest of it":    its(`"image":"agent-system@sha256:0000000000000000000000000000000000000000000000000000000000000000"`),
		"another value":     its(`"env":[{"name":"RELEASE","value":"0"}]`),
		"other resources":   its(`"resources":{"limits":{"memory":"256Mi"}}`),
		"another path":      its(`"livenessProbe":{"httpGet":{"path":"/old"}}`),
		"another ConfigMap": its(`"envFrom":[{"configMapRef":{"name":"settings-old"}}]`),
		"no Secret any more": pod(`{"volumes":[{"name":"db","$patch":"delete"}],"containers":[{"name":"agent-system",` +
			`"env":[{"name":"DB_PASSWORD","$patch":"delete"}]}]}`),
		"kustomize's Secret": pod(`{"volumes":[{"name":"db","secret":{"secretName":"db-hkmt2456h7"}}],` +
			`"containers":[{"name":"agent-system","env":[{"name":"DB_PASSWORD",` +
			`"valueFrom":{"secretKeyRef":{"name":"db-hkmt2456h7","key":"password"}}}]}]}`),
		"another checksum": patchIt("deployments",
			`{"spec":{"template":{"metadata":{"annotations":{"checksum/config":"0"}}}}}`),
	}
}
