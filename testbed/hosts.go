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
	mu       sync.Mutex
	services []*v1.Service
	files    map[string]string // file -> namespace of its pod
	written  map[string]string // file -> its text
}

func newHosts() *hosts { return &hosts{files: map[string]string{}, written: map[string]string{}} }

// add writes the file of a pod in the namespace now, and whenever Services change.
func (h *hosts) add(file, namespace string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files[file] = namespace
	delete(h.written, file)
	return h.write(file)
}

func (h *hosts) set(services []*v1.Service) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.services = services
	for file := range h.files {
		if h.write(file) != nil {
			// Its folder is gone, so its pod is gone.
			delete(h.files, file)
			delete(h.written, file)
		}
	}
}

// write replaces the file at once: a resolver must not read half of it.
func (h *hosts) write(file string) error {
	text := hostsText(h.services, h.files[file])
	if h.written[file] == text {
		_, err := os.Stat(file)
		return err
	}
	if err := os.WriteFile(file+".tmp", []byte(text), 0o644); err != nil {
		return err
	}
	h.written[file] = text
	return os.Rename(file+".tmp", file)
}

// hostsText names every Service as cluster DNS does in the namespace: its bare
// name too, when it is of that namespace.
func hostsText(services []*v1.Service, namespace string) string {
	lines := []string{"127.0.0.1 localhost"}
	for _, s := range services {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == v1.ClusterIPNone {
			continue
		}
		full := s.Name + "." + s.Namespace
		names := []string{full, full + ".svc", full + ".svc.cluster.local"}
		if s.Namespace == namespace {
			names = append([]string{s.Name}, names...)
		}
		lines = append(lines, local(s.Spec.ClusterIP)+" "+strings.Join(names, " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}
