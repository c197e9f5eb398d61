//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	authentication "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// layVolumes lays the container's private root: a few folders and its volumes.
func (c *container) layVolumes() (string, error) {
	c.p.lay.Lock()
	defer c.p.lay.Unlock()
	root := filepath.Join(c.p.root, c.spec.Name)
	for _, d := range []string{"tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return "", err
		}
	}
	if err := errors.Join(os.Chmod(filepath.Join(root, "tmp"), 0o777),
		c.p.k.hosts.add(filepath.Join(root, "etc", "hosts"), c.p.born.Namespace)); err != nil {
		return "", err
	}
	for _, m := range c.spec.VolumeMounts {
		v, ok := volume(c.p.born, m.Name)
		if !ok {
			return "", fmt.Errorf("volumeMount %s: no such volume", m.Name)
		}
		if err := c.mount(root, m, v); err != nil {
			return "", &mountError{m.Name, err}
		}
	}
	return root, nil
}

func volume(o *v1.Pod, name string) (v1.Volume, bool) {
	i := slices.IndexFunc(o.Spec.Volumes, func(v v1.Volume) bool { return v.Name == name })
	if i < 0 {
		return v1.Volume{}, false
	}
	return o.Spec.Volumes[i], true
}

func (c *container) mount(root string, m v1.VolumeMount, v v1.Volume) error {
	at := filepath.Join(root, m.MountPath)
	if v.EmptyDir != nil {
		// Kept over restarts of the container, gone with the pod.
		if err := os.MkdirAll(at, 0o777); err != nil {
			return err
		}
		return os.Chmod(at, 0o777)
	}
	files, err := c.p.content(v)
	if err != nil {
		return err
	}
	if m.SubPath != "" {
		b, ok := files[m.SubPath]
		if !ok {
			return fmt.Errorf("subPath %s: not in the volume", m.SubPath)
		}
		return c.p.access(v).write(at, b)
	}
	if err := project(at, files, c.p.access(v)); err != nil {
		return err
	}
	if v.Projected != nil && !c.p.k.root {
		return c.kubeconfig(root, files)
	}
	return nil
}

// kubeconfig stands in for the fixed path of the ServiceAccount's token, which a
// program outside a private root cannot find.
func (c *container) kubeconfig(root string, files map[string][]byte) error {
	token, ok := files["token"]
	if !ok {
		return nil
	}
	return os.WriteFile(filepath.Join(root, "kubeconfig"), fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: testbed, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: pod, user: {token: %q}}]
contexts: [{name: testbed, context: {cluster: testbed, user: pod, namespace: %q}}]
current-context: testbed
`, c.p.k.server, filepath.Join(c.p.k.dir, "ca.crt"), token, c.p.born.Namespace), 0o600)
}

// access is that of the volume's files: its default mode, and for a pod with an
// fsGroup readable by that group.
func (p *pod) access(v v1.Volume) access {
	mode, a := (*int32)(nil), access{mode: 0o644, group: -1}
	switch {
	case v.ConfigMap != nil:
		mode = v.ConfigMap.DefaultMode
	case v.Secret != nil:
		mode = v.Secret.DefaultMode
	case v.Projected != nil:
		mode = v.Projected.DefaultMode
	}
	if mode != nil {
		a.mode = fs.FileMode(*mode) & fs.ModePerm
	}
	if s := p.born.Spec.SecurityContext; p.k.root && s != nil && s.FSGroup != nil {
		a.group, a.mode = int(*s.FSGroup), a.mode|0o440
	}
	return a
}

// ownMount is the first mount that the pod asked for itself: the ServiceAccount's
// token is in every pod, and of use only in a private root.
func (c *container) ownMount() string {
	for _, m := range c.spec.VolumeMounts {
		if m.MountPath != "/var/run/secrets/kubernetes.io/serviceaccount" {
			return m.Name
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// content reads what a volume holds now.
func (p *pod) content(v v1.Volume) (map[string][]byte, error) {
	switch {
	case v.ConfigMap != nil:
		return p.configMap(v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.Optional)
	case v.Secret != nil:
		return p.secret(v.Secret.SecretName, v.Secret.Items, v.Secret.Optional)
	case v.Projected != nil:
		all := map[string][]byte{}
		for _, s := range v.Projected.Sources {
			files, err := p.projection(s)
			if err != nil {
				return nil, err
			}
			maps.Copy(all, files)
		}
		return all, nil
	}
	return nil, errors.New("not simulated by the testbed")
}

func (p *pod) projection(s v1.VolumeProjection) (map[string][]byte, error) {
	switch {
	case s.ServiceAccountToken != nil:
		return p.token(s.ServiceAccountToken)
	case s.ConfigMap != nil:
		return p.configMap(s.ConfigMap.Name, s.ConfigMap.Items, s.ConfigMap.Optional)
	case s.Secret != nil:
		return p.secret(s.Secret.Name, s.Secret.Items, s.Secret.Optional)
	case s.DownwardAPI != nil:
		files := map[string][]byte{}
		for _, i := range s.DownwardAPI.Items {
			if i.FieldRef == nil || i.FieldRef.FieldPath != "metadata.namespace" {
				return nil, fmt.Errorf("downwardAPI %s: only metadata.namespace", i.Path)
			}
			files[i.Path] = []byte(p.born.Namespace)
		}
		return files, nil
	}
	return nil, errors.New("projected source not simulated by the testbed")
}

// token asks the API server for a token bound to the pod.
func (p *pod) token(s *v1.ServiceAccountTokenProjection) (map[string][]byte, error) {
	r := &authentication.TokenRequest{Spec: authentication.TokenRequestSpec{ExpirationSeconds: s.ExpirationSeconds,
		BoundObjectRef: &authentication.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.born.Name,
			UID: p.born.UID}}}
	if s.Audience != "" {
		r.Spec.Audiences = []string{s.Audience}
	}
	got, err := p.k.kube.CoreV1().ServiceAccounts(p.born.Namespace).CreateToken(context.Background(),
		p.born.Spec.ServiceAccountName, r, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return map[string][]byte{s.Path: []byte(got.Status.Token)}, nil
}

func (p *pod) configMap(name string, items []v1.KeyToPath, optional *bool) (map[string][]byte, error) {
	o, err := p.k.kube.CoreV1().ConfigMaps(p.born.Namespace).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return nothingIf(optional, missingObject("configmap", name, err))
	}
	files := maps.Clone(o.BinaryData)
	if files == nil {
		files = map[string][]byte{}
	}
	for k, v := range o.Data {
		files[k] = []byte(v)
	}
	return choose(files, "config", items, optional)
}

func (p *pod) secret(name string, items []v1.KeyToPath, optional *bool) (map[string][]byte, error) {
	o, err := p.k.kube.CoreV1().Secrets(p.born.Namespace).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return nothingIf(optional, missingObject("secret", name, err))
	}
	return choose(o.Data, "secret", items, optional)
}

func nothingIf(optional *bool, err error) (map[string][]byte, error) {
	if _, missing := errors.AsType[missingError](err); missing && isTrue(optional) {
		return map[string][]byte{}, nil
	}
	return nil, err
}

// choose takes the items out of the object's keys; none means all.
func choose(files map[string][]byte, kind string, items []v1.KeyToPath, optional *bool) (map[string][]byte, error) {
	if len(items) == 0 {
		return files, nil
	}
	chosen := map[string][]byte{}
	for _, i := range items {
		b, ok := files[i.Key]
		switch {
		case ok && i.Mode != nil:
			return nil, fmt.Errorf("key %s: a mode of its own is not simulated by the testbed", i.Key)
		case ok:
			chosen[i.Path] = b
		case !isTrue(optional):
			return nil, missingError(fmt.Sprintf("references non-existent %s key: %s", kind, i.Key))
		}
	}
	return chosen, nil
}
