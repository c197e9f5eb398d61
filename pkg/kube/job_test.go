package kube

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// X96: a Job that fails is noticed, and by its own condition.
func TestWhatBecameOfAJob_X96(t *testing.T) {
	deadline := int64(60)
	condition := func(kind batchv1.JobConditionType, status corev1.ConditionStatus) []batchv1.JobCondition {
		return []batchv1.JobCondition{{Type: kind, Status: status, Reason: "BackoffLimitExceeded",
			Message: "Job has reached the specified backoff limit"}}
	}
	for name, c := range map[string]struct {
		conditions []batchv1.JobCondition
		done       bool
		stalled    string
	}{
		"at work":  {nil, false, ""},
		"complete": {condition(batchv1.JobComplete, corev1.ConditionTrue), true, ""},
		"failed": {condition(batchv1.JobFailed, corev1.ConditionTrue), false,
			"Job clean failed: Job has reached the specified backoff limit (BackoffLimitExceeded)"},
		"not failed":       {condition(batchv1.JobFailed, corev1.ConditionFalse), false, ""},
		"about to fail":    {condition(batchv1.JobFailureTarget, corev1.ConditionTrue), false, ""},
		"criteria are met": {condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue), false, ""},
	} {
		j := &batchv1.Job{}
		j.Name, j.Spec.ActiveDeadlineSeconds, j.Status.Conditions = "clean", &deadline, c.conditions
		got := jobState(j)
		if !got.Known || got.Done != c.done || got.Stalled != c.stalled || got.Deadline != time.Minute ||
			strings.Contains(got.Stalled, "\n") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
