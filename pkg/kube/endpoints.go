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
	slicesOf := make([]*discoveryv1.EndpointSlice, 0, len(list.Items))
	for i := range list.Items {
		slicesOf = append(slicesOf, &list.Items[i])
	}
	return readyEndpoints(slicesOf), nil
}

// readyEndpoints counts pods, not addresses: a dual-stack Service has each twice.
func readyEndpoints(all []*discoveryv1.EndpointSlice) int {
	ready := map[string]bool{}
	for _, s := range all {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			key := strings.Join(e.Addresses, ",")
			if e.TargetRef != nil {
				key = e.TargetRef.Kind + "/" + e.TargetRef.Name
			}
			ready[key] = true
		}
	}
	return len(ready)
}
