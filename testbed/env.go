//go:build linux

package main

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
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
	maps.Copy(env, im.Env)
	for _, from := range c.spec.EnvFrom {
		if err := c.envFrom(env, from); err != nil {
			return nil, err
		}
	}
	for _, e := range c.spec.Env {
		v, ok, err := c.value(e)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", e.Name, err)
		}
		if ok {
			env[e.Name] = expand(v, env)
		}
	}
	if im.Chroot && !c.p.k.root {
		for name, value := range env {
			env[name] = relocate(value, root, c.spec.VolumeMounts)
		}
		env["TESTBED_ROOT"] = root
		if f := filepath.Join(root, "kubeconfig"); exists(f) {
			env["KUBECONFIG"] = f
		}
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list, nil
}

func (c *container) envFrom(env map[string]string, from v1.EnvFromSource) error {
	var (
		data map[string][]byte
		err  error
	)
	switch {
	case from.ConfigMapRef != nil:
		data, err = c.p.configMap(from.ConfigMapRef.Name, nil, from.ConfigMapRef.Optional)
	case from.SecretRef != nil:
		data, err = c.p.secret(from.SecretRef.Name, nil, from.SecretRef.Optional)
	}
	if err != nil {
		return fmt.Errorf("envFrom: %w", err)
	}
	for k, v := range data {
		env[from.Prefix+k] = string(v)
	}
	return nil
}

// value resolves one variable, and reports whether it is there at all: an
// optional one may be missing. A source that is not simulated is an error.
func (c *container) value(e v1.EnvVar) (value string, ok bool, err error) {
	if e.ValueFrom == nil {
		return e.Value, true, nil
	}
	switch s := e.ValueFrom; {
	case s.FieldRef != nil:
		value, err = c.field(s.FieldRef.FieldPath)
		return value, true, err
	case s.ResourceFieldRef != nil:
		value, err = c.resource(s.ResourceFieldRef)
		return value, true, err
	case s.SecretKeyRef != nil:
		data, err := c.p.secret(s.SecretKeyRef.Name, nil, s.SecretKeyRef.Optional)
		return c.keyOf(data, "Secret", s.SecretKeyRef.Name, s.SecretKeyRef.Key, s.SecretKeyRef.Optional, err)
	case s.ConfigMapKeyRef != nil:
		data, err := c.p.configMap(s.ConfigMapKeyRef.Name, nil, s.ConfigMapKeyRef.Optional)
		return c.keyOf(data, "ConfigMap", s.ConfigMapKeyRef.Name, s.ConfigMapKeyRef.Key, s.ConfigMapKeyRef.Optional,
			err)
	}
	return "", false, errors.New("valueFrom is not simulated by the testbed")
}

func (c *container) keyOf(data map[string][]byte, kind, name, key string, optional *bool,
	err error) (string, bool, error) {
	if err != nil {
		return "", false, err
	}
	b, ok := data[key]
	if !ok && !isTrue(optional) {
		return "", false, missingError(fmt.Sprintf("couldn't find key %s in %s %s/%s", key, kind, c.p.born.Namespace,
			name))
	}
	return string(b), ok, nil
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
		return c.p.k.node, nil
	case "spec.serviceAccountName":
		return c.p.obj.Spec.ServiceAccountName, nil
	}
	return "", fmt.Errorf("not simulated by the testbed: fieldRef %s", path)
}

// resource is one of the container's own limits and requests; one that is not
// set, which a kubelet replaces by the node's size, is an error here.
func (c *container) resource(r *v1.ResourceFieldSelector) (string, error) {
	list, name, ok := c.spec.Resources.Limits, "", false
	if name, ok = strings.CutPrefix(r.Resource, "limits."); !ok {
		list = c.spec.Resources.Requests
		name, ok = strings.CutPrefix(r.Resource, "requests.")
	}
	q, set := list[v1.ResourceName(name)]
	if !ok || !set || !r.Divisor.IsZero() && r.Divisor.Value() != 1 || r.ContainerName != "" &&
		r.ContainerName != c.spec.Name {
		return "", fmt.Errorf("not simulated by the testbed: resourceFieldRef %s, unset, of another container, or "+
			"with a divisor", r.Resource)
	}
	return fmt.Sprint(q.Value()), nil
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
