package kube

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
)

const redacted = "[redacted]"

// redactPod removes what of a pod may hold a secret: the values of environment
// variables, and annotations, which repeat whole manifests.
func redactPod(p *corev1.Pod) {
	p.ManagedFields, p.Annotations = nil, nil
	redactSpec(&p.Spec)
}

func redactSpec(s *corev1.PodSpec) {
	for _, all := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range all {
			redactEnv(all[i].Env)
		}
	}
	for i := range s.EphemeralContainers {
		redactEnv(s.EphemeralContainers[i].Env)
	}
}

func redactEnv(env []corev1.EnvVar) {
	for i := range env {
		if env[i].Value != "" {
			env[i].Value = redacted
		}
	}
}

// redactTemplate does the same for a pod template. One that cannot be read is left out.
func redactTemplate(raw json.RawMessage) json.RawMessage {
	var t corev1.PodTemplateSpec
	if json.Unmarshal(raw, &t) != nil {
		return nil
	}
	t.Annotations = nil
	redactSpec(&t.Spec)
	b, err := json.Marshal(t)
	if err != nil {
		return nil
	}
	return b
}
