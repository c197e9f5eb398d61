package demo

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

//go:embed config/*.yaml
var configs embed.FS

// WebhookToken is what a scene's watchdog takes alerts with.
const WebhookToken = "demo-webhook-token"

// SigningSecret is what Slack's clicks of a scene are signed with.
const SigningSecret = "8f742231b10e8888abcd99yyyzzz85a5"

// Scene is one application with its own watchdog, load and receivers, in
// namespaces of its own.
type Scene struct {
	*Testbed
	Name      string
	Namespace string // of the application
	Watchdog  string // namespace of watchdog
	Root      string // of the repository
	Receivers *recorders.Recorder
	Load      *Load
	// Values are further values of watchdog's chart.
	Values map[string]any

	faults string
	server *http.Server
}

// NewScene starts receivers and installs the application in its good release.
func NewScene(ctx context.Context, t *Testbed, root, name string) (*Scene, error) {
	s := &Scene{Testbed: t, Name: name, Root: root, Namespace: "agent-system", Watchdog: "watchdog",
		faults: filepath.Join(t.Dir, "fault-"+name)}
	if name != "" {
		s.Namespace, s.Watchdog = "agent-system-"+name, "watchdog-"+name
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.Receivers = recorders.New(recorders.Options{})
	s.server = &http.Server{Handler: s.Receivers, ReadHeaderTimeout: 5 * time.Second}
	s.server.Addr = l.Addr().String()
	go func() { _ = s.server.Serve(l) }()
	if err := os.WriteFile(s.faults, nil, 0o644); err != nil {
		return nil, err
	}
	return s, s.installApp(ctx)
}

// Close stops what the scene started outside the cluster.
func (s *Scene) Close() {
	if s.Load != nil {
		s.Load.Stop()
	}
	_ = s.server.Close()
}

// installApp applies the example's own manifests, in the scene's namespace.
func (s *Scene) installApp(ctx context.Context) error {
	for _, f := range []string{"namespace.yaml", "deployment.yaml", "service.yaml"} {
		b, err := os.ReadFile(filepath.Join(s.Root, "examples", "agent-system", "manifests", f))
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(b), "namespace: agent-system", "namespace: "+s.Namespace)
		if f == "namespace.yaml" {
			text = strings.ReplaceAll(text, "name: agent-system", "name: "+s.Namespace)
		}
		if s.Name != "" {
			text = dropLines(text, "nodePort:")
		}
		if _, err := s.Run(ctx, text, "kubectl", "apply", "-f", "-"); err != nil {
			return err
		}
	}
	return s.SetEnv(ctx, "FAULT_FILE="+s.faults)
}

// SetEnv gives the application settings beside its release's, and waits until
// its three replicas run with them.
func (s *Scene) SetEnv(ctx context.Context, set ...string) error {
	if _, err := s.Run(ctx, "", append([]string{"kubectl", "-n", s.Namespace, "set", "env", "deployment/agent-system"},
		set...)...); err != nil {
		return err
	}
	return s.RolledOut(ctx, 3)
}

func dropLines(text, with string) string {
	var keep []string
	for l := range strings.Lines(text) {
		if !strings.Contains(l, with) {
			keep = append(keep, l)
		}
	}
	return strings.Join(keep, "")
}

// URL is a path of the application as its users reach it from this machine.
func (s *Scene) URL(ctx context.Context, path string) (string, error) {
	svc, err := s.Kube.CoreV1().Services(s.Namespace).Get(ctx, "agent-system-service", metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	// The testbed serves cluster addresses 10.x on loopback 127.x.
	return fmt.Sprintf("http://127.%s:%d%s", strings.SplitN(svc.Spec.ClusterIP, ".", 2)[1], svc.Spec.Ports[0].Port,
		path), nil
}

// WatchdogURL is a path of watchdog's Service as it is reached from this machine.
func (s *Scene) WatchdogURL(ctx context.Context, path string) (string, error) {
	svc, err := s.Kube.CoreV1().Services(s.Watchdog).Get(ctx, "watchdog", metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("http://127.%s:%d%s", strings.SplitN(svc.Spec.ClusterIP, ".", 2)[1], svc.Spec.Ports[0].Port,
		path), nil
}

// Config returns the scenario's configuration with the scene's names and addresses in it.
func (s *Scene) Config(name string) (string, error) {
	b, err := configs.ReadFile("config/" + name + ".yaml")
	if err != nil {
		return "", err
	}
	base, err := configs.ReadFile("config/base.yaml")
	if err != nil {
		return "", err
	}
	return s.Addressed(string(base) + string(b)), nil
}

// Addressed puts the scene's names and addresses into a configuration.
func (s *Scene) Addressed(text string) string {
	return strings.NewReplacer("NAMESPACE", s.Namespace, "RECEIVERS", "http://"+s.server.Addr).Replace(text)
}

// InstallWatchdog installs watchdog by its chart with the given configuration;
// set are further chart values (name=value).
func (s *Scene) InstallWatchdog(ctx context.Context, config string, set ...string) error {
	_, _ = s.Run(ctx, "", "kubectl", "create", "namespace", s.Watchdog)
	// The namespace admits nothing but restricted pods, so the chart proves that it is one.
	if _, err := s.Run(ctx, "", "kubectl", "label", "--overwrite", "namespace", s.Watchdog,
		"pod-security.kubernetes.io/enforce=restricted"); err != nil {
		return err
	}
	_, _ = s.Run(ctx, "", "kubectl", "-n", s.Watchdog,
		"create", "secret", "generic", "receivers", "--from-literal=pagerduty="+strings.Repeat("0", 32),
		"--from-literal=slack=xoxb-demo", "--from-literal=statuspage=demo-token",
		"--from-literal=alertmanager="+WebhookToken, "--from-literal=signing="+SigningSecret,
		"--from-literal=slack-app=xapp-demo")
	values, err := os.CreateTemp(s.Dir, "values-*.json")
	if err != nil {
		return err
	}
	defer os.Remove(values.Name())
	all := map[string]any{"config": json.RawMessage(mustYAMLToJSON(config))}
	maps.Copy(all, s.Values)
	if err := json.NewEncoder(values).Encode(all); err != nil {
		return err
	}
	values.Close()
	args := []string{"helm", "upgrade", "--install", "watchdog", filepath.Join(s.Root, "deploy", "helm", "watchdog"),
		"-n", s.Watchdog, "-f", values.Name(), "--wait", "--timeout", "3m",
		"--set", "image.repository=watchdog", "--set", "image.tag=dev", "--set", "fullnameOverride=watchdog", "--set",
		"listenAddress=$(POD_IP):9095",
		"--set", "rbac.scope=namespaces", "--set", "rbac.namespaces={" + s.Namespace + "}",
		"--set", "actions.scale=true", "--set", "actions.restart=true", "--set", "actions.rollback=true"}
	for _, kind := range []string{"alertmanager", "pagerduty", "slack", "statuspage"} {
		args = append(args, "--set", "receivers."+kind+".existingSecret=receivers")
	}
	for _, v := range set {
		args = append(args, "--set", v)
	}
	_, err = s.Run(ctx, "", args...)
	return err
}

// Release ships a version the way people do: a new image.
func (s *Scene) Release(ctx context.Context, version string) error {
	_, err := s.Run(ctx, "", "kubectl", "-n", s.Namespace,
		"set", "image", "deployment/agent-system", "agent-system=agent-system:"+version)
	return err
}

// Fault breaks (or, with "", mends) something that the running application depends on.
func (s *Scene) Fault(kind string) error { return os.WriteFile(s.faults, []byte(kind), 0o644) }

// Deployment reads the application's deployment.
func (s *Scene) Deployment(ctx context.Context) (*appsv1.Deployment, error) {
	return s.Kube.AppsV1().Deployments(s.Namespace).Get(ctx, "agent-system", metav1.GetOptions{})
}

// RolledOut waits until the deployment's rollout is complete with the given replicas.
func (s *Scene) RolledOut(ctx context.Context, replicas int32) error {
	return s.WaitDeployment(ctx, fmt.Sprintf("%d replicas rolled out", replicas), func(d *appsv1.Deployment) bool {
		return *d.Spec.Replicas == replicas && d.Status.ObservedGeneration >= d.Generation &&
			d.Status.UpdatedReplicas == replicas && d.Status.AvailableReplicas == replicas &&
			d.Status.Replicas == replicas
	})
}

// WaitDeployment follows the deployment until it is as wanted.
func (s *Scene) WaitDeployment(ctx context.Context, what string, ok func(*appsv1.Deployment) bool) error {
	w, err := s.Kube.AppsV1().Deployments(s.Namespace).Watch(ctx,
		metav1.ListOptions{FieldSelector: "metadata.name=agent-system"})
	if err != nil {
		return err
	}
	defer w.Stop()
	var last *appsv1.Deployment
	for {
		select {
		case e, open := <-w.ResultChan():
			if !open {
				return fmt.Errorf("wait for %s: the watch ended", what)
			}
			if d, is := e.Object.(*appsv1.Deployment); is {
				if last = d; ok(d) {
					return nil
				}
			}
		case <-ctx.Done():
			state := "never seen"
			if last != nil {
				state = fmt.Sprintf("spec.replicas %d, status %+v", *last.Spec.Replicas, last.Status)
			}
			return fmt.Errorf("wait for %s: %w; the deployment: %s", what, ctx.Err(), state)
		}
	}
}

var incidentsResource = schema.GroupVersionResource{Group: "watchdog.io", Version: "v1alpha1", Resource: "incidents"}

// Incidents lists the scene's incidents.
func (s *Scene) Incidents(ctx context.Context) ([]incident.Incident, error) {
	l, err := s.Dynamic.Resource(incidentsResource).Namespace(s.Watchdog).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var all []incident.Incident
	for _, o := range l.Items {
		if o.Object["status"] == nil {
			continue // it is being opened
		}
		inc, err := decode(o.Object["status"])
		if err != nil {
			return nil, err
		}
		all = append(all, inc)
	}
	return all, nil
}

// Follow calls each with every state of every incident, from now on, until ctx
// ends or each returns true.
func (s *Scene) Follow(ctx context.Context, each func(incident.Incident) bool) error {
	for {
		w, err := s.Dynamic.Resource(incidentsResource).Namespace(s.Watchdog).Watch(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for e := range w.ResultChan() {
			if e.Type != watch.Added && e.Type != watch.Modified {
				continue
			}
			raw, err := json.Marshal(e.Object)
			if err != nil {
				continue
			}
			var o struct{ Status json.RawMessage }
			var inc incident.Incident
			if json.Unmarshal(raw, &o) != nil || json.Unmarshal(o.Status, &inc) != nil {
				continue
			}
			if each(inc) {
				w.Stop()
				return nil
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// WaitIncident follows the incidents until one is as wanted, and returns it.
func (s *Scene) WaitIncident(ctx context.Context, what string,
	ok func(incident.Incident) bool) (incident.Incident, error) {
	var last, hit incident.Incident
	err := s.Follow(ctx, func(i incident.Incident) bool {
		last = i
		if ok(i) {
			hit = i
			return true
		}
		return false
	})
	if err != nil {
		b, _ := json.MarshalIndent(last, "", " ")
		return last, fmt.Errorf("wait for an incident that is %s: %w; the last one seen: %s", what, err, b)
	}
	return hit, nil
}

// Annotate sets an annotation on the application's deployment, as a person with kubectl would.
func (s *Scene) Annotate(ctx context.Context, key, value string) error {
	patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}})
	_, err := s.Kube.AppsV1().Deployments(s.Namespace).Patch(ctx, "agent-system", types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: "kubectl-annotate"})
	return err
}

func decode(status any) (incident.Incident, error) {
	var inc incident.Incident
	b, err := json.Marshal(status)
	if err != nil {
		return inc, err
	}
	return inc, json.Unmarshal(b, &inc)
}
