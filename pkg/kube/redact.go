package kube

import (
	"encoding/json"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const redacted = "[redacted]"

// redactPod removes what of a pod may hold a secret: the values of environment
// variables, arguments, headers of probes and attributes of volumes, and annotations,
// which repeat whole manifests.
func redactPod(p *corev1.Pod) {
	p.ManagedFields, p.Annotations = nil, nil
	redactSpec(&p.Spec)
}

func redactSpec(s *corev1.PodSpec) {
	for _, all := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range all {
			redactContainer(&all[i])
		}
	}
	for i := range s.EphemeralContainers {
		c := corev1.Container(s.EphemeralContainers[i].EphemeralContainerCommon)
		redactContainer(&c)
		s.EphemeralContainers[i].EphemeralContainerCommon = corev1.EphemeralContainerCommon(c)
	}
	for i := range s.Volumes {
		v := &s.Volumes[i]
		if v.CSI != nil {
			hideValues(v.CSI.VolumeAttributes)
		}
		if v.FlexVolume != nil {
			hideValues(v.FlexVolume.Options)
		}
	}
}

func redactContainer(c *corev1.Container) {
	for i := range c.Env {
		if c.Env[i].Value != "" {
			c.Env[i].Value = redacted
		}
	}
	redactArguments(c.Command[min(1, len(c.Command)):]) // the program may be seen
	redactArguments(c.Args)
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if p != nil {
			redactCall(p.Exec, p.HTTPGet)
		}
	}
	if l := c.Lifecycle; l != nil {
		for _, h := range []*corev1.LifecycleHandler{l.PostStart, l.PreStop} {
			if h != nil {
				redactCall(h.Exec, h.HTTPGet)
			}
		}
	}
}

func redactCall(exec *corev1.ExecAction, get *corev1.HTTPGetAction) {
	if exec != nil {
		redactArguments(exec.Command[min(1, len(exec.Command)):])
	}
	if get == nil {
		return
	}
	for i := range get.HTTPHeaders {
		get.HTTPHeaders[i].Value = redacted
	}
	if path, _, asked := strings.Cut(get.Path, "?"); asked {
		get.Path = path + "?" + redacted
	}
}

// redactArguments keeps the names of flags. Nobody can tell which value is a secret:
// the name of the flag before it need not say so.
func redactArguments(all []string) {
	for i, a := range all {
		name, _, valued := strings.Cut(a, "=")
		switch {
		case !flagName.MatchString(name):
			all[i] = redacted
		case valued:
			all[i] = name + "=" + redacted
		}
	}
}

// flagName is a flag in full. -pSECRET is one letter and its value.
var flagName = regexp.MustCompile(`^(-[A-Za-z0-9]|--?[a-z][a-z0-9]*([._-][a-z0-9]+)*)$`)

// rolloutAnnotations are those that say what a revision is. Others are copied from the
// Deployment's, and may hold anything.
func rolloutAnnotations(all map[string]string) map[string]string {
	kept := map[string]string{}
	for k, v := range all {
		if strings.HasPrefix(k, "deployment.kubernetes.io/") || k == "kubernetes.io/change-cause" {
			kept[k] = v
		}
	}
	return kept
}

func hideValues(m map[string]string) {
	for k := range m {
		m[k] = redacted
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
