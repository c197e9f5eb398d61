package kube

import (
	"context"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (r *Reader) endpoints(ctx context.Context, namespace, service string) (int, error) {
	list, err := r.c.discovery.EndpointSlices(namespace).List(ctx,
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		return 0, explain(request{"list", "endpointslices.discovery.k8s.io", namespace, ""}, err)
	}
	return readyEndpoints(keepSlices(list.Items)), nil
}

// endpoint is one endpoint of a Service.
type endpoint struct {
	key   string // kind/name, the same in all slices; else its addresses
	ready bool
}

// pod is the name of the pod that it is; empty: it is something else.
func (e endpoint) pod() string {
	name, ok := strings.CutPrefix(e.key, "Pod/")
	if !ok {
		return ""
	}
	return name
}

func endpointsOf(s *discoveryv1.EndpointSlice) []endpoint {
	all := make([]endpoint, 0, len(s.Endpoints))
	for _, e := range s.Endpoints {
		x := endpoint{ready: e.Conditions.Ready == nil || *e.Conditions.Ready}
		if e.TargetRef != nil {
			x.key = e.TargetRef.Kind + "/" + e.TargetRef.Name
		} else {
			x.key = strings.Join(e.Addresses, ",")
		}
		all = append(all, x)
	}
	return all
}

func keepSlices(items []discoveryv1.EndpointSlice) []*keptSlice {
	all := make([]*keptSlice, len(items))
	for i := range items {
		all[i] = keepSlice(&items[i])
	}
	return all
}

// readyEndpoints counts pods, not addresses: a dual-stack Service has each twice.
func readyEndpoints(all []*keptSlice) int {
	ready := map[string]bool{}
	for _, s := range all {
		for _, e := range s.endpoints {
			if e.ready {
				ready[e.key] = true
			}
		}
	}
	return len(ready)
}
