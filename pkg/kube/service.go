package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"watchdog.io/watchdog/pkg/remediate"
)

// selecting is what a read says of the Services that select a template's pods.
type selecting struct {
	services []remediate.Service
	slices   []*keptSlice
	unknown  string
}

// listed is a list of Services that is under way.
type listed struct {
	list *corev1.ServiceList
	err  error
}

// listServices lists the Services of a namespace, and does not wait for it.
func (r *Reader) listServices(ctx context.Context, namespace string) <-chan listed {
	answer := make(chan listed, 1)
	go func() {
		list, err := r.c.core.Services(namespace).List(ctx, metav1.ListOptions{})
		answer <- listed{list, err}
	}()
	return answer
}

// services waits for the Services, and selects those whose selector matches the labels of the template,
// with their endpoints. That they may not be read is returned without an error: what
// does not depend on them continues.
func (r *Reader) services(ctx context.Context, namespace string, template json.RawMessage,
	under <-chan listed) (selecting, error) {
	var t corev1.PodTemplateSpec
	if err := json.Unmarshal(template, &t); err != nil {
		return selecting{}, fmt.Errorf("read pod template: %w", err)
	}
	all := <-under
	if all.err != nil {
		err := explain(request{"list", "services", namespace, ""}, all.err)
		if apierrors.IsForbidden(err) {
			return selecting{unknown: err.Error()}, nil
		}
		return selecting{}, err
	}
	var found selecting
	var names []string
	for _, s := range all.list.Items {
		// One without a selector has endpoints that somebody else writes.
		if len(s.Spec.Selector) == 0 || s.Spec.Type == corev1.ServiceTypeExternalName ||
			!labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(t.Labels)) {
			continue
		}
		found.services = append(found.services, remediate.Service{Name: s.Name, Selector: s.Spec.Selector})
		names = append(names, s.Name)
	}
	slices.SortFunc(found.services, func(a, b remediate.Service) int { return strings.Compare(a.Name, b.Name) })
	if len(names) == 0 {
		return found, nil
	}
	of, err := labels.NewRequirement(discoveryv1.LabelServiceName, selection.In, names)
	if err != nil {
		return selecting{}, fmt.Errorf("select endpointslices of %s: %w", strings.Join(names, ", "), err)
	}
	endpoints, err := r.c.discovery.EndpointSlices(namespace).List(ctx,
		metav1.ListOptions{LabelSelector: labels.NewSelector().Add(*of).String()})
	if err != nil {
		return selecting{}, explain(request{"list", "endpointslices.discovery.k8s.io", namespace, ""}, err)
	}
	found.slices = keepSlices(endpoints.Items)
	return found, nil
}

// counted returns the Services with the ready endpoints that are the pods given.
func (s selecting) counted(pods []corev1.Pod) []remediate.Service {
	ours := map[string]bool{}
	for _, p := range pods {
		ours[p.Name] = true
	}
	ready := readyPods(s.slices, ours)
	for i := range s.services {
		s.services[i].Ready = ready[s.services[i].Name]
	}
	return s.services
}

// readyPods counts, by Service, the pods among ours that are ready endpoints.
func readyPods(all []*keptSlice, ours map[string]bool) map[string]int {
	seen, ready := map[[2]string]bool{}, map[string]int{}
	for _, s := range all {
		for _, e := range s.endpoints {
			pod := e.pod()
			if s.service == "" || !e.ready || pod == "" || !ours[pod] {
				continue
			}
			if key := [2]string{s.service, pod}; !seen[key] {
				seen[key] = true
				ready[s.service]++
			}
		}
	}
	return ready
}

// endpoints counts the ready endpoints that are the pods given, by Service, from memory.
func (v *view) endpoints(pods []*keptPod) map[string]int {
	ours, seen := map[string]bool{}, map[*keptSlice]bool{}
	var all []*keptSlice
	for _, p := range pods {
		ours[p.name] = true
		for _, s := range find[*keptSlice](v, "endpointslices", byPod, p.name) {
			if !seen[s] {
				seen[s] = true
				all = append(all, s)
			}
		}
	}
	return readyPods(all, ours)
}
