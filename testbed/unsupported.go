//go:build linux

package main

import (
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// field is something a pod may ask for that is not simulated.
type field struct {
	asked bool
	name  string
}

// unsupported names the first field of the pod that is not simulated, or
// nothing. A test that passes because a field was ignored is worse than none.
func unsupported(o *v1.Pod) string {
	s := &o.Spec
	fields := []field{
		{len(s.InitContainers) > 0, "initContainers"},
		{len(s.EphemeralContainers) > 0, "ephemeralContainers"},
		{s.HostNetwork || s.HostPID || s.HostIPC || isTrue(s.ShareProcessNamespace),
			"hostNetwork, hostPID, hostIPC, shareProcessNamespace"},
		{s.HostUsers != nil && !*s.HostUsers, "hostUsers: false"},
		{s.ActiveDeadlineSeconds != nil, "activeDeadlineSeconds of a pod"},
		{len(s.ReadinessGates) > 0, "readinessGates"},
		{s.RuntimeClassName != nil, "runtimeClassName"},
		{s.DNSConfig != nil || len(s.HostAliases) > 0, "dnsConfig, hostAliases"},
		{len(s.ResourceClaims) > 0, "resourceClaims"},
	}
	for i := range s.Containers {
		c := &s.Containers[i]
		fields = append(fields, ofContainer(c)...)
		fields = append(fields, ofProbe(c.ReadinessProbe, "readinessProbe of container "+c.Name)...)
		fields = append(fields, ofProbe(c.LivenessProbe, "livenessProbe of container "+c.Name)...)
	}
	for _, v := range s.Volumes {
		fields = append(fields, ofVolume(v, o)...)
	}
	if i := slices.IndexFunc(fields, func(f field) bool { return f.asked }); i >= 0 {
		return fields[i].name
	}
	return ""
}

func ofContainer(c *v1.Container) []field {
	of := " of container " + c.Name
	fields := []field{
		{c.Lifecycle != nil && !sleepsOnly(c.Lifecycle), "lifecycle hooks other than preStop.sleep" + of},
		{c.StartupProbe != nil, "startupProbe" + of},
		{c.WorkingDir != "", "workingDir" + of},
		{c.TTY || c.Stdin, "tty and stdin" + of},
		{c.RestartPolicy != nil || len(c.RestartPolicyRules) > 0, "restartPolicy" + of},
		{len(c.VolumeDevices) > 0, "volumeDevices" + of},
	}
	for _, p := range c.Ports {
		fields = append(fields, field{p.HostPort != 0, "hostPort" + of})
	}
	for _, m := range c.VolumeMounts {
		fields = append(fields, field{m.SubPathExpr != "" || m.MountPropagation != nil,
			"subPathExpr, mountPropagation of volumeMount " + m.Name + of})
	}
	return fields
}

// sleepsOnly reports whether the container asks for nothing but a sleep before SIGTERM.
func sleepsOnly(l *v1.Lifecycle) bool {
	return l.PostStart == nil && l.StopSignal == nil && l.PreStop != nil && l.PreStop.Sleep != nil
}

func ofProbe(p *v1.Probe, name string) []field {
	if p == nil {
		return nil
	}
	fields := []field{
		{p.Exec != nil || p.GRPC != nil, "exec or gRPC " + name},
		{p.TerminationGracePeriodSeconds != nil, "terminationGracePeriodSeconds of the " + name},
	}
	if h := p.HTTPGet; h != nil {
		fields = append(fields,
			field{h.Scheme != "" && h.Scheme != v1.URISchemeHTTP, "HTTPS " + name},
			field{h.Host != "" || slices.ContainsFunc(h.HTTPHeaders,
				func(h v1.HTTPHeader) bool { return strings.EqualFold(h.Name, "host") }), "host of the " + name})
	}
	if t := p.TCPSocket; t != nil {
		fields = append(fields, field{t.Host != "", "host of the " + name})
	}
	return fields
}

func ofVolume(v v1.Volume, o *v1.Pod) []field {
	// What no container mounts a kubelet does not look at; the scheduler does.
	claimed := v.PersistentVolumeClaim != nil && len(mountsOf(o, v.Name)) == 0
	fields := []field{{v.ConfigMap == nil && v.Secret == nil && v.EmptyDir == nil && v.Projected == nil && !claimed,
		"volume " + v.Name + ": only configMap, secret, emptyDir and projected, and a persistentVolumeClaim that is " +
			"not mounted"}}
	if v.EmptyDir != nil {
		// Each mount has a folder of its own; nothing can be shared across private roots.
		mounts := mountsOf(o, v.Name)
		subPath := slices.ContainsFunc(mounts, func(m v1.VolumeMount) bool { return m.SubPath != "" })
		fields = append(fields, field{len(mounts) > 1 || subPath, "volume " + v.Name +
			": an emptyDir mounted more than once, or by subPath"})
	}
	return fields
}

// mountsOf lists every mount of the named volume.
func mountsOf(o *v1.Pod, volume string) []v1.VolumeMount {
	var all []v1.VolumeMount
	for i := range o.Spec.Containers {
		for _, m := range o.Spec.Containers[i].VolumeMounts {
			if m.Name == volume {
				all = append(all, m)
			}
		}
	}
	return all
}
