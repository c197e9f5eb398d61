package kube

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/pkg/incident"
)

// Job reads what became of a Job: complete, failed (Stalled says why), or still at work.
// One that is gone before anybody saw its end counts as failed: nobody knows that it
// did its work.
func (r *Reader) Job(ctx context.Context, o incident.Object) (incident.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	j, err := r.c.batch.Jobs(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return incident.Rollout{Known: true, Stalled: fmt.Sprintf("Job %s is gone, its result is unknown",
			o.Name)}, nil
	}
	if err != nil {
		return incident.Rollout{}, explain(request{"get", "jobs.batch", o.Namespace, o.Name}, err)
	}
	return jobState(j), nil
}

func jobState(j *batchv1.Job) incident.Rollout {
	s := incident.Rollout{Known: true}
	if d := j.Spec.ActiveDeadlineSeconds; d != nil {
		s.Deadline = time.Duration(*d) * time.Second
	}
	for _, c := range j.Status.Conditions {
		switch {
		case c.Status != corev1.ConditionTrue:
		case c.Type == batchv1.JobComplete:
			s.Done = true
		case c.Type == batchv1.JobFailed:
			s.Stalled = fmt.Sprintf("Job %s failed: %s (%s)", j.Name, c.Message, c.Reason)
		}
	}
	return s
}
