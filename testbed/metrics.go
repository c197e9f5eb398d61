//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const metricsGroup = "metrics.k8s.io/v1beta1"

// usage is what a container's process used between the last two looks.
type usage struct {
	cores float64
	rss   int64
	ticks float64
	at    time.Time
}

// serveMetrics serves metrics.k8s.io from /proc and registers it for real.
func (k *kubelet) serveMetrics(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /apis/"+metricsGroup, func(w http.ResponseWriter, _ *http.Request) {
		reply(w, metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
			GroupVersion: metricsGroup,
			APIResources: []metav1.APIResource{{Name: "pods", Kind: "PodMetrics", Namespaced: true,
				Verbs: metav1.Verbs{"get", "list"}}}})
	})
	mux.HandleFunc("GET /apis/"+metricsGroup+"/pods", k.listMetrics)
	mux.HandleFunc("GET /apis/"+metricsGroup+"/namespaces/{ns}/pods", k.listMetrics)
	port, err := k.serveTLS(mux)
	if err != nil {
		return err
	}
	return k.registerMetrics(ctx, port)
}

func (k *kubelet) registerMetrics(ctx context.Context, port int) error {
	svc := &v1.Service{ObjectMeta: metav1.ObjectMeta{Name: "metrics-server"},
		Spec: v1.ServiceSpec{Type: v1.ServiceTypeExternalName, ExternalName: "localhost",
			Ports: []v1.ServicePort{{Port: int32(port)}}}}
	if _, err := k.kube.CoreV1().Services("kube-system").Create(ctx, svc, metav1.CreateOptions{}); err != nil &&
		!apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("register metrics.k8s.io: %w", err)
	}
	cfg, err := clientConfig(filepath.Join(k.dir, "kubelet.kubeconfig"))
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": "v1beta1.metrics.k8s.io"},
		"spec": map[string]any{"group": "metrics.k8s.io", "version": "v1beta1", "insecureSkipTLSVerify": true,
			"groupPriorityMinimum": int64(100), "versionPriority": int64(100),
			"service": map[string]any{"name": "metrics-server", "namespace": "kube-system", "port": int64(port)}},
	}}
	_, err = client.Resource(schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1",
		Resource: "apiservices"}).Create(ctx, o, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("register metrics.k8s.io: %w", err)
	}
	return nil
}

func (k *kubelet) listMetrics(w http.ResponseWriter, r *http.Request) {
	sel, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	items := []any{}
	for _, p := range k.all() {
		if m := p.metrics(r.PathValue("ns"), sel); m != nil {
			items = append(items, m)
		}
	}
	reply(w, map[string]any{"kind": "PodMetricsList", "apiVersion": metricsGroup, "metadata": map[string]any{},
		"items": items})
}

func (p *pod) metrics(namespace string, sel labels.Selector) map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	if namespace != "" && p.obj.Namespace != namespace || !sel.Matches(labels.Set(p.obj.Labels)) ||
		p.obj.DeletionTimestamp != nil {
		return nil
	}
	containers := []any{}
	for _, c := range p.containers {
		if c.cmd != nil && !c.usage.at.IsZero() {
			containers = append(containers, map[string]any{"name": c.spec.Name,
				"usage": map[string]string{"cpu": fmt.Sprintf("%dn", int64(c.usage.cores*1e9)),
					"memory": fmt.Sprintf("%dKi", c.usage.rss/1024)}})
		}
	}
	if len(containers) == 0 {
		return nil
	}
	return map[string]any{"metadata": map[string]any{"name": p.obj.Name, "namespace": p.obj.Namespace,
		"labels": p.obj.Labels}, "timestamp": metav1.Now(), "window": "1s", "containers": containers}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// sampleAll looks at every process once a second, and ends one that exceeds its
// memory limit, as a cgroup would at once.
func (k *kubelet) sampleAll(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range k.all() {
			p.mu.Lock()
			for _, c := range p.containers {
				c.sample()
			}
			p.mu.Unlock()
		}
	}
}

func (c *container) sample() {
	if c.cmd == nil {
		c.usage = usage{}
		return
	}
	ticks, rss, err := procStat(c.cmd.Process.Pid)
	if err != nil {
		return
	}
	now := time.Now()
	u := usage{ticks: ticks, rss: rss, at: now}
	if !c.usage.at.IsZero() {
		u.cores = (ticks - c.usage.ticks) / 100 / now.Sub(c.usage.at).Seconds()
	}
	c.usage = u
	if limit := c.spec.Resources.Limits.Memory(); !limit.IsZero() && rss > limit.Value() {
		c.oom = true
		c.signal(syscall.SIGKILL)
	}
}

// procStat reads CPU time in clock ticks and resident memory in bytes.
func procStat(pid int) (ticks float64, rss int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	text := string(b)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 22 {
		return 0, 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	user, err1 := strconv.ParseFloat(f[11], 64)
	system, err2 := strconv.ParseFloat(f[12], 64)
	pages, err3 := strconv.ParseInt(f[21], 10, 64)
	for _, e := range []error{err1, err2, err3} {
		if e != nil {
			return 0, 0, e
		}
	}
	return user + system, pages * int64(os.Getpagesize()), nil
}
