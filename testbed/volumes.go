//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	authentication "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// install puts a static program into a private root.
func install(program, root string) error {
	to := filepath.Join(root, "bin", filepath.Base(program))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if os.Link(program, to) == nil {
		return nil
	}
	from, err := os.Open(program)
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// layVolumes lays the container's private root: a few folders and its volumes.
func (c *container) layVolumes() (string, error) {
	root := filepath.Join(c.p.root, c.spec.Name)
	for _, d := range []string{"tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return "", err
		}
	}
	if err := errors.Join(os.Chmod(filepath.Join(root, "tmp"), 0o777), c.p.k.hosts.add(filepath.Join(root, "etc", "hosts"))); err != nil {
		return "", err
	}
	for _, m := range c.spec.VolumeMounts {
		v, ok := volume(c.p.obj, m.Name)
		if !ok {
			return "", fmt.Errorf("volumeMount %s: no such volume", m.Name)
		}
		if err := c.mount(root, m, v); err != nil {
			return "", fmt.Errorf("volume %s: %w", m.Name, err)
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
		// One folder per pod, shared by its containers by a symlink when there are several.
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
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		return os.WriteFile(at, b, 0o644)
	}
	if err := project(at, files); err != nil {
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
`, c.p.k.server, filepath.Join(c.p.k.dir, "ca.crt"), token, c.p.obj.Namespace), 0o600)
}

// project lays files as the kubelet does: a folder of its own, a symlink ..data
// to it, and one symlink per file through ..data. Replacing ..data changes all
// files at once.
func project(at string, files map[string][]byte) error {
	fresh := filepath.Join(at, ".."+time.Now().UTC().Format("2006_01_02_15_04_05.000000000"))
	for name, b := range files {
		f := filepath.Join(fresh, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(f, b, 0o644); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(fresh, 0o755); err != nil {
		return err
	}
	data := filepath.Join(at, "..data")
	old, _ := os.Readlink(data)
	tmp := filepath.Join(at, "..data_tmp")
	_ = os.Remove(tmp)
	if err := errors.Join(os.Symlink(filepath.Base(fresh), tmp), os.Rename(tmp, data)); err != nil {
		return err
	}
	for name := range files {
		top, _, _ := strings.Cut(name, "/")
		if err := os.Symlink(filepath.Join("..data", top), filepath.Join(at, top)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	links, err := os.ReadDir(at)
	if err != nil {
		return err
	}
	for _, l := range links {
		if !strings.HasPrefix(l.Name(), "..") && !exists(filepath.Join(at, l.Name())) {
			_ = os.Remove(filepath.Join(at, l.Name()))
		}
	}
	if old != "" {
		return os.RemoveAll(filepath.Join(at, old))
	}
	return nil
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
			files[i.Path] = []byte(p.obj.Namespace)
		}
		return files, nil
	}
	return nil, errors.New("projected source not simulated by the testbed")
}

// token asks the API server for a token bound to the pod.
func (p *pod) token(s *v1.ServiceAccountTokenProjection) (map[string][]byte, error) {
	r := &authentication.TokenRequest{Spec: authentication.TokenRequestSpec{ExpirationSeconds: s.ExpirationSeconds,
		BoundObjectRef: &authentication.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.obj.Name, UID: p.obj.UID}}}
	if s.Audience != "" {
		r.Spec.Audiences = []string{s.Audience}
	}
	got, err := p.k.kube.CoreV1().ServiceAccounts(p.obj.Namespace).CreateToken(context.Background(), p.obj.Spec.ServiceAccountName, r, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return map[string][]byte{s.Path: []byte(got.Status.Token)}, nil
}

func (p *pod) configMap(name string, items []v1.KeyToPath, optional *bool) (map[string][]byte, error) {
	o, err := p.k.kube.CoreV1().ConfigMaps(p.obj.Namespace).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return nothingIf(optional, err)
	}
	files := maps.Clone(o.BinaryData)
	if files == nil {
		files = map[string][]byte{}
	}
	for k, v := range o.Data {
		files[k] = []byte(v)
	}
	return choose(files, items)
}

func (p *pod) secret(name string, items []v1.KeyToPath, optional *bool) (map[string][]byte, error) {
	o, err := p.k.kube.CoreV1().Secrets(p.obj.Namespace).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return nothingIf(optional, err)
	}
	return choose(o.Data, items)
}

func nothingIf(optional *bool, err error) (map[string][]byte, error) {
	if optional != nil && *optional {
		return map[string][]byte{}, nil
	}
	return nil, err
}

func choose(files map[string][]byte, items []v1.KeyToPath) (map[string][]byte, error) {
	if len(items) == 0 {
		return files, nil
	}
	chosen := map[string][]byte{}
	for _, i := range items {
		b, ok := files[i.Key]
		if !ok {
			return nil, fmt.Errorf("key %s is not there", i.Key)
		}
		chosen[i.Path] = b
	}
	return chosen, nil
}

// watchVolumes returns a loop that lays ConfigMap and Secret volumes anew when
// their object changes, as a kubelet does. subPath mounts never change.
func (k *kubelet) watchVolumes(f informers.SharedInformerFactory) func(context.Context) {
	changed := make(chan [3]string, 1024)
	tell := func(kind string, o metav1.Object) {
		select {
		case changed <- [3]string{kind, o.GetNamespace(), o.GetName()}:
		default:
		}
	}
	handler := func(kind string) cache.ResourceEventHandlerFuncs {
		return cache.ResourceEventHandlerFuncs{UpdateFunc: func(old, now any) {
			a, _ := old.(metav1.Object)
			b, ok := now.(metav1.Object)
			if ok && a.GetResourceVersion() != b.GetResourceVersion() {
				tell(kind, b)
			}
		}}
	}
	_, _ = f.Core().V1().ConfigMaps().Informer().AddEventHandler(handler("configmap"))
	_, _ = f.Core().V1().Secrets().Informer().AddEventHandler(handler("secret"))
	return func(ctx context.Context) {
		for {
			select {
			case <-ctx.Done():
				return
			case c := <-changed:
				for _, p := range k.all() {
					p.refresh(c[0], c[1], c[2])
				}
			}
		}
	}
}

func (p *pod) refresh(kind, namespace, name string) {
	p.mu.Lock()
	o := p.obj
	p.mu.Unlock()
	if o.Namespace != namespace || o.DeletionTimestamp != nil {
		return
	}
	for _, v := range o.Spec.Volumes {
		mine := kind == "configmap" && v.ConfigMap != nil && v.ConfigMap.Name == name || kind == "secret" && v.Secret != nil && v.Secret.SecretName == name
		if !mine {
			continue
		}
		files, err := p.content(v)
		if err != nil {
			continue
		}
		for i := range o.Spec.Containers {
			for _, m := range o.Spec.Containers[i].VolumeMounts {
				at := filepath.Join(p.root, o.Spec.Containers[i].Name, m.MountPath)
				if m.Name == v.Name && m.SubPath == "" && exists(at) {
					_ = project(at, files)
				}
			}
		}
	}
}
