package ingest

import (
	"cmp"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Workload is one configured target, as labels name it.
type Workload struct {
	Target    string // its name in the configuration
	Namespace string
	Kind      string // lower case: deployment
	Name      string
	Service   string // empty: none is configured
}

// PodOwner names the workload that a pod belongs to; false if it is not known.
type PodOwner func(namespace, pod string) (kind, name string, ok bool)

// Resolver says which target the labels of an alert mean.
type Resolver struct {
	names     map[string]bool
	workloads map[string]string // by namespace/kind/name
	services  map[string]string // by namespace/service
	inside    map[string][]Workload
	owner     PodOwner
	// Drops reports whether an alert with these labels is left aside; nil: none is.
	Drops func(labels map[string]string) bool
}

func (r *Resolver) drops(h AlertState) bool { return r.Drops != nil && r.Drops(plainMap(h.Labels)) }

// NewResolver returns the resolver of the configured targets. owner is asked for
// the workload of a pod; nil: only names say whose a pod is.
func NewResolver(all []Workload, owner PodOwner) *Resolver {
	r := &Resolver{names: map[string]bool{}, workloads: map[string]string{}, services: map[string]string{},
		inside: map[string][]Workload{}, owner: owner}
	for _, w := range all {
		r.names[w.Target] = true
		r.workloads[w.Namespace+"/"+w.Kind+"/"+w.Name] = w.Target
		if w.Service != "" {
			r.services[w.Namespace+"/"+w.Service] = w.Target
		}
		r.inside[w.Namespace] = append(r.inside[w.Namespace], w)
	}
	return r
}

// Configured reports whether there is a target of that name.
func (r *Resolver) Configured(target string) bool { return r.names[target] }

// Target returns the target that the labels mean, by the first of these that
// leads to one: the label target; namespace and deployment, statefulset or
// daemonset; namespace and pod; namespace and service. False says that no target is
// meant; the name then stands for what is not watched.
func (r *Resolver) Target(l labels.Labels) (string, bool) {
	at := r.read(l)
	if t := r.byWorkload(at); t != "" {
		return t, true
	}
	if t := r.byPod(at); t != "" {
		return t, true
	}
	if t := r.services[at.namespace+"/"+at.service]; t != "" {
		return t, true
	}
	return unwatchedName(l.Get(model.AlertNameLabel), at.namespace), false
}

// NeedsOwner reports whether only the owner of a pod says which target is meant.
func (r *Resolver) NeedsOwner(l labels.Labels) bool {
	at := r.read(l)
	return at.pod != "" && len(r.inside[at.namespace]) > 0 && r.byWorkload(at) == ""
}

// meant is what labels say of a target.
type meant struct{ target, namespace, deployment, statefulset, daemonset, pod, service string }

func (m meant) workload() bool {
	return cmp.Or(m.deployment, m.statefulset, m.daemonset, m.pod, m.service) != ""
}

// read reads the labels. Where Prometheus scrapes an exporter such as
// kube-state-metrics without honor_labels, namespace, pod and service are the
// exporter's own, and those of the object are called exported_*: these win as far
// as they name an object.
func (r *Resolver) read(l labels.Labels) meant {
	m := meant{l.Get("target"), l.Get("namespace"), l.Get("deployment"), l.Get("statefulset"), l.Get("daemonset"),
		l.Get("pod"), l.Get("service")}
	if ns := l.Get("exported_namespace"); ns != "" {
		x := meant{m.target, ns, l.Get("exported_deployment"), l.Get("exported_statefulset"),
			l.Get("exported_daemonset"), l.Get("exported_pod"), l.Get("exported_service")}
		x.deployment, x.statefulset, x.daemonset = cmp.Or(x.deployment, m.deployment), cmp.Or(x.statefulset,
			m.statefulset), cmp.Or(x.daemonset, m.daemonset)
		if x.workload() {
			return x
		}
	}
	return m
}

func (r *Resolver) byWorkload(m meant) string {
	if r.names[m.target] {
		return m.target
	}
	for _, w := range []struct{ kind, name string }{{"deployment", m.deployment}, {"statefulset", m.statefulset},
		{"daemonset", m.daemonset}} {
		if t := r.workloads[m.namespace+"/"+w.kind+"/"+w.name]; t != "" && m.namespace != "" {
			return t
		}
	}
	return ""
}

// byPod finds the target that a pod belongs to: by its owner, and if that is not
// known, by its name.
func (r *Resolver) byPod(m meant) string {
	if m.namespace == "" || m.pod == "" {
		return ""
	}
	if r.owner != nil {
		if kind, name, ok := r.owner(m.namespace, m.pod); ok {
			return r.workloads[m.namespace+"/"+kind+"/"+name]
		}
	}
	best, length := "", -1
	for _, w := range r.inside[m.namespace] {
		if len(w.Name) > length && podNameOf(w.Kind, w.Name, m.pod) {
			best, length = w.Target, len(w.Name)
		}
	}
	return best
}

// generatedChars are the characters of which Kubernetes makes the ends of names.
const generatedChars = "bcdfghjklmnpqrstvwxz2456789"

const (
	generatedLen = 5  // of the random end of a pod's name
	maxHashLen   = 10 // of the hash of a pod template, at most
	maxPodName   = 63 // a longer name is cut before its random end
	cronMinutes  = 8  // digits of the time in the name of a CronJob's Job; a hash of digits alone is next to impossible
)

// podNameOf reports whether a pod of the workload may have that name: NAME-HASH-RANDOM
// of a Deployment, NAME-ORDINAL of a StatefulSet, NAME-RANDOM of a DaemonSet.
func podNameOf(kind, name, pod string) bool {
	rest, ok := strings.CutPrefix(pod, name+"-")
	switch {
	case kind == "deployment" && len(pod) == maxPodName && !ok:
		// The hash, and perhaps the end of the name, was cut.
		return strings.HasPrefix(name+"-", pod[:maxPodName-generatedLen]) &&
			generatedName(pod[maxPodName-generatedLen:])
	case !ok:
		return false
	case kind == "deployment":
		hash, random, both := strings.Cut(rest, "-")
		if !both && len(pod) == maxPodName && len(rest) > generatedLen {
			hash, random = rest[:len(rest)-generatedLen], rest[len(rest)-generatedLen:]
		}
		if len(hash) >= cronMinutes && strings.Trim(hash, "0123456789") == "" {
			return false
		}
		return len(hash) <= maxHashLen && generatedName(hash) && len(random) == generatedLen && generatedName(random)
	case kind == "statefulset":
		return rest == "0" || len(rest) < 7 && rest != "" && rest[0] != '0' && strings.Trim(rest, "0123456789") == ""
	case kind == "daemonset":
		return len(rest) == generatedLen && generatedName(rest)
	}
	return false
}

func generatedName(s string) bool { return s != "" && strings.Trim(s, generatedChars) == "" }
