//go:build linux

package main

import (
	"os"
	"slices"
	"strings"
	"sync"

	v1 "k8s.io/api/core/v1"
)

// hosts is cluster DNS for programs in a private root: their /etc/hosts names
// every Service, and is kept fresh.
type hosts struct {
	mu    sync.Mutex
	text  string
	files []string
}

func newHosts() *hosts { return &hosts{text: hostsText(nil)} }

// add writes the file now and whenever Services change.
func (h *hosts) add(file string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.files, file) {
		h.files = append(h.files, file)
	}
	return os.WriteFile(file, []byte(h.text), 0o644)
}

func (h *hosts) set(services []*v1.Service) {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := hostsText(services)
	if text == h.text {
		return
	}
	h.text = text
	h.files = slices.DeleteFunc(h.files, func(f string) bool {
		// A file whose folder is gone belongs to a pod that is gone.
		return os.WriteFile(f, []byte(text), 0o644) != nil
	})
}

func hostsText(services []*v1.Service) string {
	lines := []string{"127.0.0.1 localhost"}
	for _, s := range services {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == v1.ClusterIPNone {
			continue
		}
		name := s.Name + "." + s.Namespace
		lines = append(lines, strings.Join([]string{local(s.Spec.ClusterIP), name, name + ".svc", name + ".svc.cluster.local"}, " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}
