//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// environment is what the container's program sees: the node's, the image's and
// the pod's variables; the later wins.
func (c *container) environment(im image, root string) ([]string, error) {
	server, err := url.Parse(c.p.k.server)
	if err != nil {
		return nil, err
	}
	env := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "HOSTNAME": c.p.obj.Name, "LISTEN_HOST": local(c.p.ip),
		"KUBERNETES_SERVICE_HOST": server.Hostname(), "KUBERNETES_SERVICE_PORT": server.Port(),
	}
	if im.Chroot && !c.p.k.root {
		env["TESTBED_ROOT"] = root
		if f := filepath.Join(root, "kubeconfig"); exists(f) {
			env["KUBECONFIG"] = f
		}
	}
	maps.Copy(env, im.Env)
	for _, from := range c.spec.EnvFrom {
		if err := c.envFrom(env, from); err != nil {
			return nil, err
		}
	}
	for _, e := range c.spec.Env {
		v, err := c.value(e)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", e.Name, err)
		}
		env[e.Name] = expand(v, env)
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list, nil
}

func (c *container) envFrom(env map[string]string, from v1.EnvFromSource) error {
	ns := c.p.obj.Namespace
	switch {
	case from.ConfigMapRef != nil:
		o, err := c.p.k.kube.CoreV1().ConfigMaps(ns).Get(context.Background(), from.ConfigMapRef.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for k, v := range o.Data {
			env[from.Prefix+k] = v
		}
	case from.SecretRef != nil:
		o, err := c.p.k.kube.CoreV1().Secrets(ns).Get(context.Background(), from.SecretRef.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for k, v := range o.Data {
			env[from.Prefix+k] = string(v)
		}
	}
	return nil
}

// value resolves one variable; a source that is not simulated is an error.
func (c *container) value(e v1.EnvVar) (string, error) {
	if e.ValueFrom == nil {
		return e.Value, nil
	}
	ns, ctx := c.p.obj.Namespace, context.Background()
	switch s := e.ValueFrom; {
	case s.FieldRef != nil:
		return c.field(s.FieldRef.FieldPath)
	case s.ResourceFieldRef != nil:
		return c.resource(s.ResourceFieldRef.Resource)
	case s.SecretKeyRef != nil:
		o, err := c.p.k.kube.CoreV1().Secrets(ns).Get(ctx, s.SecretKeyRef.Name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		return string(o.Data[s.SecretKeyRef.Key]), nil
	case s.ConfigMapKeyRef != nil:
		o, err := c.p.k.kube.CoreV1().ConfigMaps(ns).Get(ctx, s.ConfigMapKeyRef.Name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		return o.Data[s.ConfigMapKeyRef.Key], nil
	}
	return "", fmt.Errorf("not simulated by the testbed: %v", e.ValueFrom)
}

func (c *container) field(path string) (string, error) {
	switch path {
	case "metadata.name":
		return c.p.obj.Name, nil
	case "metadata.namespace":
		return c.p.obj.Namespace, nil
	case "metadata.uid":
		return string(c.p.obj.UID), nil
	case "status.podIP":
		// The address that really answers: a manifest may listen on it on both kinds of cluster.
		return local(c.p.ip), nil
	case "spec.nodeName":
		return nodeName, nil
	case "spec.serviceAccountName":
		return c.p.obj.Spec.ServiceAccountName, nil
	}
	return "", fmt.Errorf("not simulated by the testbed: fieldRef %s", path)
}

func (c *container) resource(name string) (string, error) {
	switch name {
	case "limits.memory":
		q := c.spec.Resources.Limits.Memory()
		return fmt.Sprint(q.Value()), nil
	case "requests.memory":
		q := c.spec.Resources.Requests.Memory()
		return fmt.Sprint(q.Value()), nil
	case "limits.cpu":
		q := c.spec.Resources.Limits.Cpu()
		return fmt.Sprint(q.Value()), nil
	}
	return "", fmt.Errorf("not simulated by the testbed: resourceFieldRef %s", name)
}

// argv is the catalogue's program, then the pod's command without its first
// word (the catalogue says what runs), then its args.
func (c *container) argv(im image, env []string) []string {
	argv := slices.Clone(im.Exec)
	if len(c.spec.Command) > 0 {
		argv = append(argv[:1], c.spec.Command[1:]...)
	}
	argv = append(argv, c.spec.Args...)
	vars := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		vars[name] = value
	}
	for i := range argv {
		argv[i] = expand(argv[i], vars)
	}
	return argv
}

// expand replaces $(NAME) as Kubernetes does: unknown names stay, $$ is a dollar.
func expand(s string, vars map[string]string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 >= len(s) {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		switch end := strings.IndexByte(s[i:], ')'); {
		case s[i+1] == '$':
			b.WriteByte('$')
			s = s[i+2:]
		case s[i+1] == '(' && end > 0:
			if v, ok := vars[s[i+2:i+end]]; ok {
				b.WriteString(v)
			} else {
				b.WriteString(s[i : i+end+1])
			}
			s = s[i+end+1:]
		default:
			b.WriteByte('$')
			s = s[i+1:]
		}
	}
}

// rewritePaths makes a program that should run in a private root, but cannot,
// find its volumes: words that begin with a mount path get the root before it.
func rewritePaths(words []string, root string, mounts []v1.VolumeMount) []string {
	out := slices.Clone(words)
	for i, w := range out {
		for _, m := range mounts {
			out[i] = strings.ReplaceAll(out[i], "="+m.MountPath, "="+filepath.Join(root, m.MountPath))
			if strings.HasPrefix(w, m.MountPath) {
				out[i] = filepath.Join(root, w)
			}
		}
	}
	return out
}
