package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	usageInterval = 15 * time.Second
	usageMaxAge   = time.Minute
	// Up to usageEach namespaces are asked about one by one, a second apart on average. More
	// are read by one list of the cluster if RBAC permits that; else in turns at the same pace.
	usageEach = 15
	usagePace = time.Second
	// usageAskAgain is how long a refused list of the cluster is not tried again.
	usageAskAgain = 10 * time.Minute
)

// usage is what the metrics API says of a namespace's pods. A cluster without
// that API is an ordinary cluster: the ratios are then not known.
type usage struct {
	namespace string
	log       *slog.Logger
	metrics   *metrics

	mu     sync.Mutex
	at     time.Time
	pods   podUsage
	absent string // the last error told
}

// podUsage is by pod and container.
type podUsage map[string]map[string]corev1.ResourceList

func newUsage(namespace string, log *slog.Logger, m *metrics) *usage {
	return &usage{namespace: namespace, log: log, metrics: m}
}

func (u *usage) take(pods podUsage, err error) {
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

// age is how old the usage is; 0: it was never known.
func (u *usage) age(now time.Time) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at.IsZero() {
		return 0
	}
	return now.Sub(u.at)
}

// meter reads the metrics API for all namespaces that are watched.
type meter struct {
	c       *Client
	log     *slog.Logger
	pace    *rate.Limiter
	refused time.Time // when the list of the cluster was refused; zero: it was not
	late    bool      // that usage comes late was said
}

func newMeter(c *Client, log *slog.Logger) *meter {
	return &meter{c: c, log: log, pace: rate.NewLimiter(rate.Every(usagePace), usageEach)}
}

// run reads the usage of what namespaces returns, until ctx ends.
func (m *meter) run(ctx context.Context, namespaces func() []*usage) {
	for ctx.Err() == nil {
		began := time.Now()
		m.round(Background(ctx), namespaces())
		took := time.Since(began)
		m.report(took)
		timer := time.NewTimer(max(0, usageInterval-took))
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

// report says that a round takes longer than what it reads may be old.
func (m *meter) report(took time.Duration) {
	late := took > usageMaxAge
	if late && !m.late {
		m.log.Warn("CPU and memory usage are read too slowly; rules on them return NO_DATA in between: let watchdog list "+
			"pods.metrics.k8s.io in the whole cluster (rbac.scope: cluster), or watch fewer namespaces", "took",
			took.Round(time.Second), "max_age", usageMaxAge)
	}
	m.late = late
}

func (m *meter) round(ctx context.Context, all []*usage) {
	if len(all) > usageEach && (m.refused.IsZero() || time.Since(m.refused) > usageAskAgain) {
		by, err := m.read(ctx, "")
		if ctx.Err() != nil {
			return
		}
		if m.refused = (time.Time{}); !apierrors.IsForbidden(err) {
			for _, u := range all {
				u.take(by[u.namespace], err)
			}
			return
		}
		m.refused = time.Now()
	}
	for _, u := range all {
		if m.pace.Wait(ctx) != nil {
			return
		}
		by, err := m.read(ctx, u.namespace)
		if ctx.Err() != nil {
			return
		}
		u.take(by[u.namespace], err)
	}
}

// read lists a namespace, or all of them ("").
func (m *meter) read(ctx context.Context, namespace string) (map[string]podUsage, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	path, where := "/apis/metrics.k8s.io/v1beta1/pods", "all namespaces"
	if namespace != "" {
		path, where = "/apis/metrics.k8s.io/v1beta1/namespaces/"+namespace+"/pods", "namespace "+namespace
	}
	raw, err := m.c.core.RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("list pods.metrics.k8s.io in %s (is metrics-server installed?): %w", where, err)
	}
	var list struct {
		Items []struct {
			Metadata struct {
				Name      string `json:"name"`
				Namespace string `json:"namespace"`
			} `json:"metadata"`
			Containers []struct {
				Name  string              `json:"name"`
				Usage corev1.ResourceList `json:"usage"`
			} `json:"containers"`
		} `json:"items"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("list pods.metrics.k8s.io in %s: decode: %w", where, err)
	}
	by := map[string]podUsage{}
	for _, p := range list.Items {
		of := cmp.Or(namespace, p.Metadata.Namespace)
		if by[of] == nil {
			by[of] = podUsage{}
		}
		by[of][p.Metadata.Name] = map[string]corev1.ResourceList{}
		for _, c := range p.Containers {
			by[of][p.Metadata.Name][c.Name] = c.Usage
		}
	}
	return by, nil
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
