package kube

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CronSuccess is when a CronJob last succeeded; zero: never.
type CronSuccess struct {
	Name string // namespace/name
	At   time.Time
}

// CronSuccess reads when a CronJob, named namespace/name, last succeeded, under the
// caller's own rights.
func (c *Client) CronSuccess(ctx context.Context, name string) (CronSuccess, error) {
	ns, job, ok := strings.Cut(name, "/")
	if !ok || ns == "" || job == "" || strings.Contains(job, "/") {
		return CronSuccess{}, fmt.Errorf("invalid CronJob %q; use NAMESPACE/NAME", name)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	j, err := c.batch.CronJobs(ns).Get(ctx, job, metav1.GetOptions{})
	if err != nil {
		return CronSuccess{}, explain(request{"get", "cronjobs.batch", ns, job}, err)
	}
	s := CronSuccess{Name: name}
	if j.Status.LastSuccessfulTime != nil {
		s.At = j.Status.LastSuccessfulTime.Time
	}
	return s, nil
}
