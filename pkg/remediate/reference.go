package remediate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Reference is one object that a pod template needs for its pods to start.
type Reference struct {
	Kind string // ConfigMap, Secret, PersistentVolumeClaim, ServiceAccount
	Name string
	// Keys are the required keys of a ConfigMap or Secret.
	Keys []string

	// What reading it found. MissingKeys are those of Keys that do not exist;
	// Unknown is why it could not be read.
	Gone        bool
	MissingKeys []string
	Unknown     string
	// AccessModes are a PersistentVolumeClaim's.
	AccessModes []string
}

func (r Reference) String() string { return r.Kind + " " + r.Name }

// The kinds of objects that a template can refer to.
const (
	configMap      = "ConfigMap"
	secret         = "Secret"
	volumeClaim    = "PersistentVolumeClaim"
	serviceAccount = "ServiceAccount"
)

// podTemplate is the part of a pod template that names other objects or ports.
type podTemplate struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		ServiceAccountName string           `json:"serviceAccountName"`
		HostNetwork        bool             `json:"hostNetwork"`
		Containers         []containerNeeds `json:"containers"`
		InitContainers     []containerNeeds `json:"initContainers"`
		Volumes            []struct {
			ConfigMap *keyed `json:"configMap"`
			Secret    *struct {
				keyed
				SecretName string `json:"secretName"`
			} `json:"secret"`
			Projected *struct {
				Sources []struct {
					ConfigMap *keyed `json:"configMap"`
					Secret    *keyed `json:"secret"`
				} `json:"sources"`
			} `json:"projected"`
			CSI *struct {
				NodePublishSecretRef *keyed `json:"nodePublishSecretRef"`
			} `json:"csi"`
			PersistentVolumeClaim *struct {
				ClaimName string `json:"claimName"`
			} `json:"persistentVolumeClaim"`
		} `json:"volumes"`
	} `json:"spec"`
}

// containerNeeds is the part of a container that names other objects or ports.
type containerNeeds struct {
	Env []struct {
		ValueFrom *struct {
			ConfigMapKeyRef *keyed `json:"configMapKeyRef"`
			SecretKeyRef    *keyed `json:"secretKeyRef"`
		} `json:"valueFrom"`
	} `json:"env"`
	EnvFrom []struct {
		ConfigMapRef *keyed `json:"configMapRef"`
		SecretRef    *keyed `json:"secretRef"`
	} `json:"envFrom"`
	Ports []struct {
		HostPort      int `json:"hostPort"`
		ContainerPort int `json:"containerPort"`
	} `json:"ports"`
}

// keyed is a reference to a ConfigMap or Secret, or to keys of it.
type keyed struct {
	Name  string `json:"name"`
	Key   string `json:"key"`
	Items []struct {
		Key string `json:"key"`
	} `json:"items"`
	Optional bool `json:"optional"`
}

// References returns the objects that a pod template needs for its pods to start, each
// once. Optional references are left out, and so are pull secrets: the kubelet starts
// a pod without one, and the image decides.
func References(template json.RawMessage) ([]Reference, error) {
	var t podTemplate
	if err := json.Unmarshal(template, &t); err != nil {
		return nil, fmt.Errorf("read pod template: %w", err)
	}
	var all []Reference
	add := func(kind, name string, keys ...string) {
		i := slices.IndexFunc(all, func(r Reference) bool { return r.Kind == kind && r.Name == name })
		if i < 0 && name != "" {
			all, i = append(all, Reference{Kind: kind, Name: name}), len(all)
		}
		for _, k := range keys {
			if name != "" && k != "" && !slices.Contains(all[i].Keys, k) {
				all[i].Keys = append(all[i].Keys, k)
			}
		}
	}
	object := func(kind string, k *keyed) {
		if k == nil || k.Optional {
			return
		}
		keys := []string{k.Key}
		for _, i := range k.Items {
			keys = append(keys, i.Key)
		}
		add(kind, k.Name, keys...)
	}
	for _, c := range slices.Concat(t.Spec.InitContainers, t.Spec.Containers) {
		for _, e := range c.Env {
			if e.ValueFrom != nil {
				object(configMap, e.ValueFrom.ConfigMapKeyRef)
				object(secret, e.ValueFrom.SecretKeyRef)
			}
		}
		for _, e := range c.EnvFrom {
			object(configMap, e.ConfigMapRef)
			object(secret, e.SecretRef)
		}
	}
	for _, v := range t.Spec.Volumes {
		object(configMap, v.ConfigMap)
		if s := v.Secret; s != nil {
			s.Name = s.SecretName
			object(secret, &s.keyed)
		}
		if v.Projected != nil {
			for _, s := range v.Projected.Sources {
				object(configMap, s.ConfigMap)
				object(secret, s.Secret)
			}
		}
		if v.CSI != nil {
			object(secret, v.CSI.NodePublishSecretRef)
		}
		if c := v.PersistentVolumeClaim; c != nil {
			add(volumeClaim, c.ClaimName)
		}
	}
	add(serviceAccount, t.Spec.ServiceAccountName)
	slices.SortStableFunc(all, func(a, b Reference) int { return strings.Compare(a.String(), b.String()) })
	return all, nil
}
