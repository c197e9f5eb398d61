//go:build integration

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"watchdog.io/watchdog/internal/demo"
	"watchdog.io/watchdog/pkg/incident"
)

func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the configuration has no %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

func config(t *testing.T, s *demo.Scene, name string) string {
	t.Helper()
	text, err := s.Config(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestScalingGoesThroughTheAutoscaler_INV27: replicas belong to an HPA, so its
// minimum is raised, under a lease, and given back.
func TestScalingGoesThroughTheAutoscaler_INV27(t *testing.T) {
	s := stage(t, "hpa")
	autoscaled(t, s)
	text := replaced(t, config(t, s, "agents"), "- restart: { settle: 3s, verify: 60s }",
		"- scale: { by: 1, max: 8, lease: 8s, settle: 1s, verify: 4s }")
	installText(t, s, text)
	good(t, s)
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	// One more replica does not bring the agents of the others back: a person is asked.
	if _, err := s.WaitIncident(within(t, time.Minute),
		"escalated", func(i incident.Incident) bool { return i.Phase == incident.Escalated }); err != nil {
		t.Fatal(err)
	}
	// The lease's own incident is a person's now: the lease ends all the same.
	if err := s.WaitDeployment(within(t, 90*time.Second), "the autoscaler's minimum to be back",
		func(*appsDeployment) bool {
			h, err := tb.Kube.AutoscalingV2().HorizontalPodAutoscalers(s.Namespace).Get(t.Context(),
				"agent-system-hpa", metav1.GetOptions{})
			return err == nil && h.Spec.MinReplicas != nil && *h.Spec.MinReplicas == 3 &&
				strings.HasSuffix(h.Annotations["watchdog.io/op"], "r")
		}); err != nil {
		t.Fatal(err)
	}
	for _, r := range wantEffects(t, s, 2) {
		if r.ObjectRef.Resource != "horizontalpodautoscalers" {
			t.Errorf("wrote %s: %s", r.ObjectRef.Resource, r.RequestObject)
		}
	}
}

// autoscaled applies the example's autoscaler.
func autoscaled(t *testing.T, s *demo.Scene) {
	t.Helper()
	hpa, err := os.ReadFile(filepath.Join(root, "examples", "agent-system", "manifests", "hpa.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), strings.ReplaceAll(string(hpa), "namespace: agent-system",
		"namespace: "+s.Namespace), "kubectl", "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

const jobManifest = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: clean}\nspec:\n  activeDeadlineSeconds: 60\n " +
	" backoffLimit: 0\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{name: clean, image: " +
	"\"tools:v1\"}]\n"

// TestAJobIsRunOnce: the job rung creates one vetted Job and waits for its effect.
func TestAJobIsRunOnce(t *testing.T) {
	s := stage(t, "job")
	text := replaced(t, config(t, s, "agents"), "- restart: { settle: 3s, verify: 60s }",
		"- job: { template: clean, settle: 1s, verify: 5s }") +
		"job_templates:\n  clean: { file: clean.yaml }\n"
	s.Values = map[string]any{"extraFiles": map[string]any{"clean.yaml": jobManifest}}
	installText(t, s, text, "actions.job=true")
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitIncident(within(t, time.Minute), "escalated after the job", func(i incident.Incident) bool {
		return i.Phase == incident.Escalated && len(i.Attempts) == 1 && i.Attempts[0].Action == "job"
	}); err != nil {
		t.Fatal(err)
	}
	var jobs *batchv1.JobList
	jobs, err := tb.Kube.BatchV1().Jobs(s.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(jobs.Items) != 1 {
		t.Fatalf("%d jobs, %v", len(jobs.Items), err)
	}
	wantEffects(t, s, 1)
}

// TestAForbiddenVerbIsTriedOnceAndTold_F18: the chart was installed without the right to act.
func TestAForbiddenVerbIsTriedOnceAndTold_F18(t *testing.T) {
	s := stage(t, "forbidden")
	install(t, s, "agents", "actions.scale=false", "actions.restart=false", "actions.rollback=false")
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitIncident(within(t, time.Minute), "escalated as forbidden", func(i incident.Incident) bool {
		return i.Phase == incident.Escalated && strings.Contains(strings.ToLower(i.PageReason), "forbidden")
	}); err != nil {
		t.Fatal(err)
	}
	if got := attempts(t, s); len(got) != 1 || got[0].ResponseStatus.Code != http.StatusForbidden {
		t.Errorf("%d attempts %+v, want one that is forbidden", len(got), got)
	}
}

// TestWithoutTheAPIServerNothingIsDoneAndTheWorkGoesOnAfterwards_F09.
func TestWithoutTheAPIServerNothingIsDoneAndTheWorkGoesOnAfterwards_F09(t *testing.T) {
	s := stage(t, "api-down")
	install(t, s, "agents")
	apiserver(t, syscall.SIGSTOP)
	resumed := false
	defer func() {
		if !resumed {
			apiserver(t, syscall.SIGCONT)
		}
	}()
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	// Longer than for and than the lease; shorter than the time after which the
	// node controller would take the node for dead, which is another story.
	<-time.After(8 * time.Second)
	apiserver(t, syscall.SIGCONT)
	resumed = true
	inc, err := s.WaitIncident(within(t, 2*time.Minute), "resolved once the API server is back", finished)
	if err != nil {
		t.Fatal(err)
	}
	oneEffect(t, s, inc)
}

func apiserver(t *testing.T, sig syscall.Signal) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(tb.Dir, "kube-apiserver.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// TestABadConfigurationChangesNothing_INV46: the mounted ConfigMap is swapped for
// one with a mistake, then for a good one.
func TestABadConfigurationChangesNothing_INV46(t *testing.T) {
	s := stage(t, "reload")
	text := config(t, s, "agents")
	install(t, s, "agents")
	loaded := "watchdog_config_last_reload_successful"
	awaitMetric(t, s, loaded, 1)
	// Observe it should become; but the file has a mistake.
	swap(t, s, replaced(t, text, "mode: auto", "mode: observe")+"nonsense: true\n")
	awaitMetric(t, s, loaded, 0)
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitIncident(within(t, time.Minute), "resolved under the old configuration", finished); err != nil {
		t.Fatal(err)
	}
	swap(t, s, replaced(t, text, "mode: auto", "mode: observe"))
	awaitMetric(t, s, loaded, 1)
	if err := s.Fault(""); err != nil {
		t.Fatal(err)
	}
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitIncident(within(t, time.Minute), "escalated under the new configuration",
		func(i incident.Incident) bool {
			return i.Phase == incident.Escalated && explains(i, "mode observe")
		}); err != nil {
		t.Fatal(err)
	}
	wantEffects(t, s, 1)
}

// swap replaces the configuration in the mounted ConfigMap.
func swap(t *testing.T, s *demo.Scene, text string) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"data": map[string]string{"watchdog.yaml": text}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog,
		"patch", "configmap", "watchdog", "--type", "merge", "-p", string(patch)); err != nil {
		t.Fatal(err)
	}
}

// awaitMetric scrapes every replica until all show the value.
func awaitMetric(t *testing.T, s *demo.Scene, name string, value float64) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ok := 0
		pods, err := tb.Kube.CoreV1().Pods(s.Watchdog).List(ctx,
			metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=watchdog"})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pods.Items {
			if v, found := scrape(p.Status.PodIP, name); found && v == value {
				ok++
			}
		}
		if ok == len(pods.Items) && ok > 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s is not %v on all of %d replicas", name, value, len(pods.Items))
		case <-tick.C:
		}
	}
}

// scrape reads one metric without labels from a watchdog pod.
func scrape(podIP, name string) (float64, bool) {
	resp, err := http.Get("http://127." + strings.SplitN(podIP, ".", 2)[1] + ":9096/metrics")
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	for l := range bytes.Lines(b) {
		if v, ok := strings.CutPrefix(string(l), name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return f, err == nil
		}
	}
	return 0, false
}

// TestTheSameRuleOverPrometheus: a real Prometheus scrapes the application; the
// rule asks it. Then Prometheus is gone, and nothing is done any more.
func TestTheSameRuleOverPrometheus_F60(t *testing.T) {
	s := stage(t, "prometheus")
	url, stop := startPrometheus(t, s)
	text := config(t, s, "release")
	text = replaced(t, text, "guards:", "prometheus: { url: \""+url+"\" }\nguards:", "metric: error_rate\n",
		"name: errors\n    source: prometheus\n    expr: |\n      "+
			"label_replace((sum(rate(http_requests_total{code=\"500\"}[10s])) or vector(0)) / "+
			"sum(rate(http_requests_total[10s])), \"target\", \"agent-system\", \"\", \"\")\n")
	text = dropLine(text, "min_requests:")
	target, err := s.URL(t.Context(), "/work")
	if err != nil {
		t.Fatal(err)
	}
	s.Load = demo.StartLoad(target, 8, 100*time.Millisecond)
	installText(t, s, text)
	good(t, s)
	if err := s.Release(t.Context(), "v2.2.0"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitIncident(within(t, 2*time.Minute), "resolved after a rollback", finished); err != nil {
		t.Fatal(err)
	}
	wantEffects(t, s, 1)
	// Blind: the same release again, and nobody to ask.
	stop()
	if err := s.Release(t.Context(), "v2.2.0"); err != nil {
		t.Fatal(err)
	}
	awaitMetricAtLeast(t, s, "watchdog_monitoring_blind", 1)
	wantEffects(t, s, 1)
}

func awaitMetricAtLeast(t *testing.T, s *demo.Scene, prefix string, value float64) {
	t.Helper()
	ctx := within(t, 40*time.Second)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		pods, err := tb.Kube.CoreV1().Pods(s.Watchdog).List(ctx,
			metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=watchdog"})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pods.Items {
			if v, ok := scrapeMax(p.Status.PodIP, prefix); ok && v >= value {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no replica shows %s ≥ %v", prefix, value)
		case <-tick.C:
		}
	}
}

// scrapeMax is the greatest value of a metric's series.
func scrapeMax(podIP, name string) (float64, bool) {
	resp, err := http.Get("http://127." + strings.SplitN(podIP, ".", 2)[1] + ":9096/metrics")
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	best, found := 0.0, false
	for l := range bytes.Lines(b) {
		if !bytes.HasPrefix(l, []byte(name)) {
			continue
		}
		f := strings.Fields(string(l))
		if v, err := strconv.ParseFloat(f[len(f)-1], 64); err == nil {
			best, found = max(best, v), true
		}
	}
	return best, found
}

// startPrometheus runs Debian's Prometheus over the application's pods.
func startPrometheus(t *testing.T, s *demo.Scene) (url string, stop func()) {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is not installed: run hack/need, or apt-get install prometheus")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	// Pods come and go with each release; the file lists those of the moment.
	conf := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: agent-system, file_sd_configs: "+
		"[{files: [%q], refresh_interval: 1s}]}]\n", filepath.Join(dir, "pods.json"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go listPods(t, s, filepath.Join(dir, "pods.json"), done)
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if !ended {
			ended = true
			close(done)
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	return "http://" + addr, stop
}

// listPods keeps the scrape targets current.
func listPods(t *testing.T, s *demo.Scene, file string, done <-chan struct{}) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		pods, err := tb.Kube.CoreV1().Pods(s.Namespace).List(contextForCleanup(), metav1.ListOptions{})
		if err == nil {
			targets := []map[string]any{}
			for _, p := range pods.Items {
				if p.Status.PodIP != "" && p.DeletionTimestamp == nil {
					targets = append(targets, map[string]any{
						"targets": []string{"127." + strings.SplitN(p.Status.PodIP, ".", 2)[1] + ":8080"},
						"labels": map[string]string{"namespace": s.Namespace, "deployment": "agent-system",
							"pod": p.Name},
					})
				}
			}
			b, _ := json.Marshal(targets)
			_ = os.WriteFile(file+".new", b, 0o644)
			_ = os.Rename(file+".new", file)
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// TestOldIncidentsAreForgotten: beyond the number that is kept, the oldest go.
func TestOldIncidentsAreForgotten(t *testing.T) {
	s := stage(t, "retention")
	install(t, s, "agents", "replicas=1")
	resource := tb.Dynamic.Resource(schema.GroupVersionResource{Group: "watchdog.io", Version: "v1alpha1",
		Resource: "incidents"}).Namespace(s.Watchdog)
	old := time.Now().Add(-48 * time.Hour).UTC()
	for i := range 201 {
		id := fmt.Sprintf("old%05d", i)
		inc := incident.New(id, incident.Target{Name: "agent-system", Namespace: s.Namespace, Kind: "deployment",
			Workload: "agent-system"}, old)
		inc.Phase, inc.ResolvedAt, inc.Severity = incident.Resolved, old, incident.P3
		var status map[string]any
		b, _ := json.Marshal(inc)
		if err := json.Unmarshal(b, &status); err != nil {
			t.Fatal(err)
		}
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "watchdog.io/v1alpha1", "kind": "Incident",
			"metadata": map[string]any{"name": id},
			"spec": map[string]any{"target": map[string]any{"name": "agent-system", "namespace": s.Namespace,
				"kind": "deployment", "workload": "agent-system"}, "openedAt": old.Format(time.RFC3339)}}}
		made, err := resource.Create(t.Context(), o, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		made.Object["status"] = status
		if _, err := resource.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// A new process reads them all.
	if _, err := s.Run(t.Context(), "", "kubectl", "-n", s.Watchdog,
		"delete", "pod", "-l", "app.kubernetes.io/name=watchdog"); err != nil {
		t.Fatal(err)
	}
	if err := s.Fault("agents"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitIncident(within(t, 90*time.Second),
		"resolved", func(i incident.Incident) bool { return finished(i) && len(i.Attempts) > 0 }); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 20*time.Second)
	w, err := resource.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for range 2 {
		if all, err := resource.List(ctx, metav1.ListOptions{}); err == nil && len(all.Items) <= 200 {
			return
		}
		for e := range w.ResultChan() {
			if e.Type == "DELETED" {
				break
			}
		}
	}
	all, err := resource.List(t.Context(), metav1.ListOptions{})
	if err != nil || len(all.Items) > 200 {
		t.Errorf("%d incidents are kept (%v), want at most 200", len(all.Items), err)
	}
}
