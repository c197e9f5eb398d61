//go:build linux

package main

import (
	"context"
	"fmt"
	"log"
	"path/filepath"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// source names an object that volumes are laid from.
type source struct{ kind, namespace, name string }

const (
	configMapKind = "ConfigMap"
	secretKind    = "Secret"
)

// watchVolumes returns a loop that lays volumes anew when the ConfigMap or Secret
// behind them changes, as a kubelet does. subPath mounts never change.
func (k *kubelet) watchVolumes(f informers.SharedInformerFactory) (func(context.Context), error) {
	changed := workqueue.NewTyped[source]()
	handler := func(kind string) cache.ResourceEventHandlerFuncs {
		tell := func(o any) {
			if m, ok := o.(metav1.Object); ok {
				changed.Add(source{kind, m.GetNamespace(), m.GetName()})
			}
		}
		// Added: a volume may name an optional object that came later.
		return cache.ResourceEventHandlerFuncs{AddFunc: tell, UpdateFunc: func(_, o any) { tell(o) }}
	}
	if _, err := f.Core().V1().ConfigMaps().Informer().AddEventHandler(handler(configMapKind)); err != nil {
		return nil, fmt.Errorf("watch ConfigMaps: %w", err)
	}
	if _, err := f.Core().V1().Secrets().Informer().AddEventHandler(handler(secretKind)); err != nil {
		return nil, fmt.Errorf("watch Secrets: %w", err)
	}
	return func(ctx context.Context) {
		stop := context.AfterFunc(ctx, changed.ShutDown)
		defer stop()
		for {
			s, down := changed.Get()
			if down {
				return
			}
			for _, p := range k.all() {
				p.refresh(s)
			}
			changed.Done(s)
		}
	}, nil
}

// refresh lays the pod's volumes anew that come from the source.
func (p *pod) refresh(s source) {
	if p.born.Namespace != s.namespace {
		return
	}
	p.lay.Lock()
	defer p.lay.Unlock()
	for _, v := range p.born.Spec.Volumes {
		if !comesFrom(v, s) {
			continue
		}
		if err := p.relay(v); err != nil {
			log.Printf("pod %s/%s: refresh volume %s: %v", p.born.Namespace, p.born.Name, v.Name, err)
		}
	}
}

// relay lays one volume anew wherever it is already laid.
func (p *pod) relay(v v1.Volume) error {
	var places []string
	for i := range p.born.Spec.Containers {
		c := &p.born.Spec.Containers[i]
		for _, m := range c.VolumeMounts {
			at := filepath.Join(p.root, c.Name, m.MountPath)
			if m.Name == v.Name && m.SubPath == "" && exists(filepath.Join(at, "..data")) {
				places = append(places, at)
			}
		}
	}
	if len(places) == 0 {
		return nil
	}
	files, err := p.content(v)
	if err != nil {
		return err
	}
	for _, at := range places {
		if err := project(at, files, p.access(v)); err != nil {
			return err
		}
	}
	return nil
}

func comesFrom(v v1.Volume, s source) bool {
	switch {
	case v.ConfigMap != nil:
		return s.kind == configMapKind && v.ConfigMap.Name == s.name
	case v.Secret != nil:
		return s.kind == secretKind && v.Secret.SecretName == s.name
	case v.Projected == nil:
		return false
	}
	for _, from := range v.Projected.Sources {
		if s.kind == configMapKind && from.ConfigMap != nil && from.ConfigMap.Name == s.name || s.kind == secretKind &&
			from.Secret != nil && from.Secret.Name == s.name {
			return true
		}
	}
	return false
}
