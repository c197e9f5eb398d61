//go:build linux

package main

import (
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// relocate makes a program that should run in a private root, but cannot, find
// its volumes: a word, or the value of a --flag=word, that is a path at or below
// a mount gets the root before it.
func relocate(word, root string, mounts []v1.VolumeMount) string {
	flag, path, ok := strings.Cut(word, "=")
	if !ok || !strings.HasPrefix(flag, "-") {
		flag, path = "", word
	} else {
		flag += "="
	}
	if strings.HasPrefix(path, root+"/") {
		return word // expanded from a variable that was relocated already
	}
	for _, m := range mounts {
		if at := filepath.Clean(m.MountPath); path == at || strings.HasPrefix(path, strings.TrimSuffix(at, "/")+"/") {
			return flag + filepath.Join(root, path)
		}
	}
	return word
}
