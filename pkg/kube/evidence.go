package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"golang.org/x/sync/errgroup"

	"watchdog.io/watchdog/pkg/incident"
)

// Bounds of a bundle.
const (
	captureTimeout   = 8 * time.Second
	capturePods      = 20
	captureContainer = 5       // containers per pod
	captureLines     = 100     // newest lines per log
	captureBytes     = 256_000 // per file
	captureEvents    = 500     // read of the namespace
	captureAtOnce    = 4       // logs read at the same time
)

// EvidenceOptions say how evidence is taken.
type EvidenceOptions struct {
	// Redact removes what must not leave the cluster; every file passes it. Required.
	Redact func([]byte) []byte
}

// Bundle is evidence: files by name, without folders, and what could not be had.
type Bundle struct {
	Files map[string][]byte
	Gaps  []string
}

// bundle collects from several goroutines.
type bundle struct {
	redact func([]byte) []byte
	mu     sync.Mutex
	b      Bundle
}

func (b *bundle) file(name string, content []byte) { b.keep(name, b.redact(clip(content))) }

func (b *bundle) keep(name string, content []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Files[name] = content
}

func (b *bundle) json(name string, v any) {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		b.gap("%s: encode: %v", name, err)
		return
	}
	// Redacted whole, as half a document is none; one that is cut says so in its name.
	content = b.redact(content)
	if len(content) > captureBytes {
		b.gap("%s: cut after %d of %d bytes", name, captureBytes, len(content))
		name, content = name+".cut", clip(content)
	}
	b.keep(name, content)
}

func (b *bundle) gap(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Gaps = append(b.b.Gaps, fmt.Sprintf(format, args...))
}

func clip(content []byte) []byte {
	if len(content) <= captureBytes {
		return content
	}
	return append(slices.Clone(content[:captureBytes]), "\n… cut here\n"...)
}

// Evidence takes evidence of the target: its pods, the events about it, the newest
// log lines of each container and of its predecessor, and the revisions. It takes
// a few seconds at most; what could not be had in that time, or at all, is a gap.
// The error is for a target that could not be read at all.
func (r *Reader) Evidence(ctx context.Context, target incident.Target, o EvidenceOptions) (Bundle, error) {
	if o.Redact == nil {
		return Bundle{}, errors.New("capture evidence: redaction is not configured")
	}
	ctx, cancel := context.WithTimeout(ctx, captureTimeout)
	defer cancel()
	b := &bundle{redact: o.Redact, b: Bundle{Files: map[string][]byte{}}}
	w, selector, err := r.object(ctx, target)
	if err != nil {
		return Bundle{}, fmt.Errorf("capture evidence: %w", err)
	}
	revisions, pods, err := r.belongings(ctx, w.Target, selector)
	if err != nil {
		b.gap("pods and revisions: %v", err)
	}
	w.Revisions, w.Pods = revisions, podsOf(pods, revisions)
	about := map[string]bool{w.Target.UID: true}
	for _, rev := range revisions {
		about[rev.UID] = true
	}
	for _, p := range pods {
		about[string(p.UID)] = true
	}
	for i := range w.Revisions {
		w.Revisions[i].Template = redactTemplate(w.Revisions[i].Template)
		w.Revisions[i].Annotations = rolloutAnnotations(w.Revisions[i].Annotations)
	}
	b.json("revisions.json", w.Revisions)
	w.Template, w.Annotations, w.Revisions = nil, nil, nil
	b.json("workload.json", w)
	// An action waits for this: the events are read beside the logs.
	var g errgroup.Group
	g.Go(func() error { r.captureEvents(ctx, b, target, about); return nil })
	r.capturePods(ctx, b, target, worstFirst(pods))
	_ = g.Wait()
	slices.Sort(b.b.Gaps)
	return b.b, nil
}

// worstFirst puts pods that are not ready before those that are.
func worstFirst(pods []corev1.Pod) []corev1.Pod {
	rank := func(p *corev1.Pod) int {
		if condition(p, corev1.PodReady) {
			return 1
		}
		return 0
	}
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(restarts(&b), restarts(&a)),
			cmp.Compare(a.Name, b.Name))
	})
	return pods
}

func (r *Reader) capturePods(ctx context.Context, b *bundle, target incident.Target, pods []corev1.Pod) {
	if n := len(pods) - capturePods; n > 0 {
		b.gap("%d of %d pods were left out", n, len(pods))
		pods = pods[:capturePods]
	}
	var g errgroup.Group
	g.SetLimit(captureAtOnce)
	for i := range pods {
		p := &pods[i]
		restarted := map[string]bool{}
		for _, s := range statuses(p) {
			restarted[s.Name] = s.RestartCount > 0
		}
		containers := slices.Concat(p.Spec.Containers, p.Spec.InitContainers)
		if n := len(containers) - captureContainer; n > 0 {
			b.gap("%d of %d containers of pod %s were left out", n, len(containers), p.Name)
			containers = containers[:captureContainer]
		}
		for _, c := range containers {
			g.Go(func() error { r.captureLog(ctx, b, target.Namespace, p.Name, c.Name, false); return nil })
			if restarted[c.Name] {
				g.Go(func() error { r.captureLog(ctx, b, target.Namespace, p.Name, c.Name, true); return nil })
			}
		}
	}
	_ = g.Wait()
	for i := range pods {
		redactPod(&pods[i])
		b.json("pod-"+pods[i].Name+".json", pods[i])
	}
}

func (r *Reader) captureLog(ctx context.Context, b *bundle, namespace, pod, container string, previous bool) {
	name := "log-" + pod + "-" + container
	if previous {
		name += "-previous"
	}
	lines, limit := int64(captureLines), int64(captureBytes)
	body, err := r.c.core.Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, Previous: previous,
		TailLines: &lines, LimitBytes: &limit}).Stream(ctx)
	if err != nil {
		b.gap("%s: %v", name, explain(request{"get", "pods/log", namespace, pod}, err))
		return
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, captureBytes))
	if err != nil {
		b.gap("%s: cut after %d bytes: %v", name, len(content), err)
	}
	b.file(name+".txt", content)
}

func (r *Reader) captureEvents(ctx context.Context, b *bundle, target incident.Target, about map[string]bool) {
	list, err := r.c.core.Events(target.Namespace).List(ctx, metav1.ListOptions{Limit: captureEvents})
	if err != nil {
		b.gap("events: %v", explain(request{"list", "events", target.Namespace, ""}, err))
		return
	}
	if list.Continue != "" {
		b.gap("events: only the first %d of the namespace were read", captureEvents)
	}
	kept := []corev1.Event{}
	for _, e := range list.Items {
		if about[string(e.InvolvedObject.UID)] {
			e.ManagedFields = nil
			kept = append(kept, e)
		}
	}
	slices.SortFunc(kept, func(a, b corev1.Event) int { return eventTime(a).Compare(eventTime(b)) })
	b.json("events.json", kept)
}

func eventTime(e corev1.Event) time.Time {
	if !e.LastTimestamp.IsZero() {
		return e.LastTimestamp.Time
	}
	return cmp.Or(e.EventTime.Time, e.CreationTimestamp.Time)
}
