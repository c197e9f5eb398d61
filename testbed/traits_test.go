//go:build linux

package main

import (
	"fmt"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAContainerThatCannotBeCreatedSaysWhyAsAKubeletDoes(t *testing.T) {
	missing := missingError(`configmap "web-v1" not found`)
	for name, tc := range map[string]struct {
		err                          error
		reason, message, event, told string
	}{
		"a variable without its ConfigMap": {fmt.Errorf("env A: %w", missing),
			"CreateContainerConfigError", `configmap "web-v1" not found`,
			"Failed", `Error: configmap "web-v1" not found`},
		"a volume without its ConfigMap": {&mountError{"config", missing},
			"ContainerCreating", "", "FailedMount",
			`MountVolume.SetUp failed for volume "config" : configmap "web-v1" not found`},
		"a program that is not there": {fmt.Errorf("start x: no such file"),
			"CreateContainerError", "start x: no such file", "Failed", "Error: start x: no such file"},
	} {
		state, event, told := notCreated(tc.err)
		if w := state.Waiting; w.Reason != tc.reason || w.Message != tc.message || event != tc.event ||
			told != tc.told {
			t.Errorf("%s: %s %q, event %s %q", name, w.Reason, w.Message, event, told)
		}
	}
}

func TestSIGTERMComesAfterThePreStopSleepAndSIGKILLAfterTheGracePeriod(t *testing.T) {
	for _, tc := range []struct {
		sleep             int64
		grace, term, kill time.Duration
	}{
		{0, 30 * time.Second, 0, 30 * time.Second},
		{5, 30 * time.Second, 5 * time.Second, 30 * time.Second},
		{60, 30 * time.Second, 30 * time.Second, 32 * time.Second},
		{60, 0, 0, 0}, // deleted with --force
	} {
		spec := &v1.Container{}
		if tc.sleep > 0 {
			spec.Lifecycle = &v1.Lifecycle{PreStop: &v1.LifecycleHandler{Sleep: &v1.SleepAction{Seconds: tc.sleep}}}
		}
		if term, kill := stopTimes(spec, tc.grace); term != tc.term || kill != tc.kill {
			t.Errorf("sleep %d, grace %s: SIGTERM after %s, SIGKILL after %s; want %s, %s", tc.sleep, tc.grace, term,
				kill, tc.term, tc.kill)
		}
	}
}

func TestANodeHasRoomOnceAPodHasWaitedLongEnough(t *testing.T) {
	now := time.Now()
	pod := func(value, node string, age time.Duration) *v1.Pod {
		p := &v1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-age))},
			Spec: v1.PodSpec{NodeName: node}}
		if value != "" {
			p.Spec.NodeSelector = map[string]string{roomLabel: value}
		}
		return p
	}
	for name, tc := range map[string]struct {
		pods []*v1.Pod
		has  string
		want string
	}{
		"nobody asks":               {[]*v1.Pod{pod("", "", time.Hour)}, "", ""},
		"not yet":                   {[]*v1.Pod{pod("5s", "", time.Second)}, "", ""},
		"long enough":               {[]*v1.Pod{pod("5s", "", 6*time.Second), pod("5s", "", time.Second)}, "", "5s"},
		"placed":                    {[]*v1.Pod{pod("5s", "node-1", time.Minute)}, "5s", ""},
		"never":                     {[]*v1.Pod{pod("never", "", 9*time.Hour)}, "", ""},
		"a value that is no length": {[]*v1.Pod{pod("soon", "", time.Hour)}, "", ""},
		"one after the other":       {[]*v1.Pod{pod("1s", "", time.Hour), pod("2s", "", time.Hour)}, "1s", "1s"},
	} {
		if got := roomFor(tc.pods, tc.has, now); got != tc.want {
			t.Errorf("%s: the label is %q, want %q", name, got, tc.want)
		}
	}
}

func TestAScaledObjectOwnsAnAutoscalerUnderANameOfItsOwn(t *testing.T) {
	var so scaledObject
	so.Name, so.UID = "web", "u1"
	so.Spec.ScaleTargetRef.Name = "web"
	if _, err := so.autoscaler(); err == nil {
		t.Error("no triggers: want an error")
	}
	so.Spec.Triggers = append(so.Spec.Triggers, struct {
		Type       string            `json:"type"`
		MetricType string            `json:"metricType"`
		Metadata   map[string]string `json:"metadata"`
	}{"cpu", "Utilization", map[string]string{"value": "80"}})
	for given, want := range map[string]string{"": "keda-hpa-web", "web-autoscaler": "web-autoscaler"} {
		so.Spec.Advanced.HPA.Name = given
		h, err := so.autoscaler()
		if err != nil {
			t.Fatal(err)
		}
		o := metav1.GetControllerOf(h)
		if h.Name != want || o == nil || o.Kind != "ScaledObject" || o.UID != "u1" ||
			h.Spec.ScaleTargetRef.Kind != "Deployment" || *h.Spec.Metrics[0].Resource.Target.AverageUtilization != 80 {
			t.Errorf("%q: %+v", given, h)
		}
	}
	so.Spec.Triggers[0].Type = "kafka"
	if _, err := so.autoscaler(); err == nil {
		t.Error("a trigger that is not simulated passes silently")
	}
}
