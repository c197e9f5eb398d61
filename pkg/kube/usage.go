package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
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
			u.log.Info("CPU and memory usage are not known; rules on them say NO_DATA", "err", err)
		}
		u.absent = err.Error()
		return
	}
	u.pods, u.at, u.absent = pods, time.Now(), ""
}

func (u *usage) read(ctx context.Context) (map[string]map[string]corev1.ResourceList, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	raw, err := u.c.watches.core.Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces", u.namespace, "pods").SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("list pods.metrics.k8s.io in namespace %s (is metrics-server installed?): %w", u.namespace, err)
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

// ratios returns the pods' usage by what they may use, for CPU and memory.
func (u *usage) ratios(pods []*corev1.Pod, now time.Time) (cpu, memory *float64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at.IsZero() || now.Sub(u.at) > usageMaxAge {
		return nil, nil
	}
	return u.ratio(pods, corev1.ResourceCPU), u.ratio(pods, corev1.ResourceMemory)
}

// ratio sums over the containers that have both a measurement and a bound.
func (u *usage) ratio(pods []*corev1.Pod, name corev1.ResourceName) *float64 {
	used, bound := 0.0, 0.0
	for _, p := range pods {
		for _, c := range p.Spec.Containers {
			measured, ok := u.pods[p.Name][c.Name][name]
			limit := limitOf(c, name)
			if !ok || limit == nil || limit.IsZero() {
				continue
			}
			used += measured.AsApproximateFloat64()
			bound += limit.AsApproximateFloat64()
		}
	}
	if bound == 0 {
		return nil
	}
	ratio := used / bound
	return &ratio
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
