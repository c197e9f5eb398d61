package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	usageInterval = 15 * time.Second
	usageMaxAge   = time.Minute
)

// usage is what the metrics API says of a namespace's pods. A cluster without
// that API is an ordinary cluster: the ratios are then not known.
type usage struct {
	c         *Client
	namespace string
	log       *slog.Logger
	metrics   *metrics

	mu     sync.Mutex
	at     time.Time
	pods   map[string]map[string]corev1.ResourceList // by pod and container
	absent string                                    // the last error told
}

func newUsage(c *Client, namespace string, log *slog.Logger, m *metrics) *usage {
	return &usage{c: c, namespace: namespace, log: log, metrics: m}
}

func (u *usage) run(ctx context.Context) {
	tick := time.NewTicker(usageInterval)
	defer tick.Stop()
	for {
		u.refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (u *usage) refresh(ctx context.Context) {
	pods, err := u.read(ctx)
	if ctx.Err() != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		u.metrics.usageErrors.Inc()
		if u.absent == "" {
			u.log.Info("CPU and memory usage are unavailable; rules on them return NO_DATA", "err", err)
		}
		u.absent = err.Error()
		return
	}
	u.pods, u.at, u.absent = pods, time.Now(), ""
}

func (u *usage) read(ctx context.Context) (map[string]map[string]corev1.ResourceList, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	raw, err := u.c.watches.core.Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces", u.namespace,
		"pods").SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("list pods.metrics.k8s.io in namespace %s (is metrics-server installed?): %w",
			u.namespace, err)
	}
	var list struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Containers []struct {
				Name  string              `json:"name"`
				Usage corev1.ResourceList `json:"usage"`
			} `json:"containers"`
		} `json:"items"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("list pods.metrics.k8s.io in namespace %s: decode: %w", u.namespace, err)
	}
	pods := make(map[string]map[string]corev1.ResourceList, len(list.Items))
	for _, p := range list.Items {
		pods[p.Metadata.Name] = map[string]corev1.ResourceList{}
		for _, c := range p.Containers {
			pods[p.Metadata.Name][c.Name] = c.Usage
		}
	}
	return pods, nil
}

// ContainerUsage is what one container uses of what it may use; NaN: not known.
type ContainerUsage struct {
	Pod, Container string
	CPU, Memory    float64
}

// containers returns what each container of the pods uses of what it may use.
func (u *usage) containers(pods []*corev1.Pod, now time.Time) []ContainerUsage {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at.IsZero() || now.Sub(u.at) > usageMaxAge {
		return nil
	}
	var all []ContainerUsage
	for _, p := range pods {
		for _, c := range p.Spec.Containers {
			x := ContainerUsage{p.Name, c.Name, u.ratio(p, c, corev1.ResourceCPU), u.ratio(p, c, corev1.ResourceMemory)}
			if !math.IsNaN(x.CPU) || !math.IsNaN(x.Memory) {
				all = append(all, x)
			}
		}
	}
	return all
}

// ratio is NaN for a container without a measurement or without a bound.
func (u *usage) ratio(p *corev1.Pod, c corev1.Container, name corev1.ResourceName) float64 {
	measured, ok := u.pods[p.Name][c.Name][name]
	limit := limitOf(c, name)
	if !ok || limit == nil || limit.IsZero() {
		return math.NaN()
	}
	return measured.AsApproximateFloat64() / limit.AsApproximateFloat64()
}

func limitOf(c corev1.Container, name corev1.ResourceName) *resource.Quantity {
	if q, ok := c.Resources.Limits[name]; ok {
		return &q
	}
	if q, ok := c.Resources.Requests[name]; ok {
		return &q
	}
	return nil
}
