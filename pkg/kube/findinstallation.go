package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// ErrNotInstalled says that a namespace holds nothing of watchdog.
var ErrNotInstalled = errors.New("watchdog is not installed")

// Installed reports, as an error, that watchdog has never run in the namespace:
// neither its lease nor its ledger exists. It names the namespaces in which it has,
// as far as the caller may see them. Without the right to look it returns nil: the
// next request says what is forbidden.
func (c *Client) Installed(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, lease := c.leases.Leases(namespace).Get(ctx, leaseName, metav1.GetOptions{})
	_, ledger := c.ledgers().Namespace(namespace).Get(ctx, ledgerName, metav1.GetOptions{})
	if lease == nil || ledger == nil || !apierrors.IsNotFound(lease) && !apierrors.IsNotFound(ledger) {
		return nil
	}
	where := "no namespace that you can list"
	if all := c.installations(ctx); len(all) > 0 {
		where = strings.Join(all, ", ")
	}
	return fmt.Errorf("%w in namespace %s, or has never started there (found in: %s)", ErrNotInstalled, namespace,
		where)
}

// installations are the namespaces that hold a lease or a ledger of watchdog.
func (c *Client) installations(ctx context.Context) []string {
	var all []string
	only := metav1.ListOptions{FieldSelector: "metadata.name=" + ledgerName}
	if l, err := c.ledgers().List(ctx, only); err == nil {
		for _, o := range l.Items {
			if o.GetName() == ledgerName {
				all = append(all, o.GetNamespace())
			}
		}
	}
	only.FieldSelector = "metadata.name=" + leaseName
	if l, err := c.leases.Leases(metav1.NamespaceAll).List(ctx, only); err == nil {
		for _, o := range l.Items {
			if o.Name == leaseName {
				all = append(all, o.Namespace)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (c *Client) ledgers() dynamic.NamespaceableResourceInterface {
	return c.dynamic.Resource(schema.GroupVersionResource{Group: group, Version: apiVersion, Resource: "ledgers"})
}
