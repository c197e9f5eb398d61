package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// podUsage is what containers use.
type podUsage map[containerOf]used

type containerOf struct{ pod, container string }

// used is in cores and bytes; NaN: it is not known.
type used struct{ cpu, memory float64 }

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
	body, err := m.c.core.RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("list pods.metrics.k8s.io in %s (is metrics-server installed?): %w", where, err)
	}
	defer func() { _ = body.Close() }()
	by := map[string]podUsage{}
	err = eachItem(body, func(p podMetrics) {
		of := one(cmp.Or(namespace, p.Metadata.Namespace))
		if by[of] == nil {
			by[of] = podUsage{}
		}
		for _, c := range p.Containers {
			by[of][containerOf{p.Metadata.Name, one(c.Name)}] = used{amount(c.Usage, corev1.ResourceCPU),
				amount(c.Usage, corev1.ResourceMemory)}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list pods.metrics.k8s.io in %s: decode: %w", where, err)
	}
	return by, nil
}

// podMetrics is one pod in an answer of the metrics API.
type podMetrics struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Containers []struct {
		Name  string              `json:"name"`
		Usage corev1.ResourceList `json:"usage"`
	} `json:"containers"`
}

// eachItem hands over the pods of a list as they come: all of a cluster take some MB.
func eachItem(body io.Reader, take func(podMetrics)) error {
	d := json.NewDecoder(body)
	if err := expect(d, '{'); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err == nil && key == "items" {
			err = items(d, take)
		} else if err == nil {
			err = d.Decode(&json.RawMessage{})
		}
		if err != nil {
			return err
		}
	}
	return expect(d, '}')
}

func items(d *json.Decoder, take func(podMetrics)) error {
	if begin, err := d.Token(); err != nil || begin == nil { // null
		return err
	}
	for d.More() {
		var p podMetrics
		if err := d.Decode(&p); err != nil {
			return err
		}
		take(p)
	}
	return expect(d, ']')
}

func amount(of corev1.ResourceList, name corev1.ResourceName) float64 {
	q, ok := of[name]
	if !ok {
		return math.NaN()
	}
	return q.AsApproximateFloat64()
}

// ContainerUsage is what one container uses of what it may use; NaN: not known.
type ContainerUsage struct {
	Pod, Container string
	CPU, Memory    float64
}

// containers returns what each container of the pods uses of what it may use.
func (u *usage) containers(pods []*keptPod, now time.Time) []ContainerUsage {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at.IsZero() || now.Sub(u.at) > usageMaxAge {
		return nil
	}
	var all []ContainerUsage
	for _, p := range pods {
		for _, c := range p.bounds {
			of, measured := u.pods[containerOf{p.name, c.container}]
			if !measured {
				continue
			}
			x := ContainerUsage{p.name, c.container, of.cpu / c.cpu, of.memory / c.memory}
			if !math.IsNaN(x.CPU) || !math.IsNaN(x.Memory) {
				all = append(all, x)
			}
		}
	}
	return all
}
