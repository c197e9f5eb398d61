package config

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	everybodyReads  fs.FileMode = 0o004
	everybodyWrites fs.FileMode = 0o002
)

// Exposed returns what is wrong with the permissions of the files that decide what
// watchdog does: the configuration, what it names, and more files. Refused are those
// that everybody may write to; readable are files of secrets that everybody may read.
// Files that do not exist are left out.
//
// Only the file itself counts, and not its group: users often share a checkout by a
// group, and the kubelet gives the files of a volume to the pod's fsGroup. Symbolic
// links are followed, for a mounted ConfigMap consists of them. Folders do not count:
// the kubelet makes those of its volumes 0777 and mounts them read-only.
func (c *Config) Exposed(more ...string) (refused Errors, readable []Problem) {
	secrets := c.SecretFiles()
	look := func(option, path string, secret bool) {
		info, err := os.Stat(path)
		if err != nil {
			return // said where the file is used
		}
		switch mode := info.Mode().Perm(); {
		case mode&everybodyWrites != 0:
			refused = append(refused, Problem{File: path, Path: option,
				Message: fmt.Sprintf("file is world-writable (mode %04o): run chmod o-w %s", mode, path)})
		case secret && mode&everybodyReads != 0 && !projected(path):
			readable = append(readable, Problem{File: path, Path: option,
				Message: fmt.Sprintf("secret file is world-readable (mode %04o): run chmod o-r %s", mode, path)})
		}
	}
	plain := slices.Concat([]string{c.File}, c.singles(), more)
	for _, t := range slices.Concat(c.RuleTexts, c.TemplateTexts) {
		plain = append(plain, t.Path)
	}
	slices.Sort(plain)
	for _, path := range slices.Compact(plain) {
		if path != "" {
			look("", path, false)
		}
	}
	for _, option := range slices.Sorted(maps.Keys(secrets)) {
		look(option, secrets[option], !strings.HasSuffix(option, "cert_file"))
	}
	return refused, readable
}

// projected reports whether the file is in a volume that the kubelet filled. Secrets
// there are 0644 by default, and nobody outside the pod reaches them.
func projected(path string) bool {
	target, err := filepath.EvalSymlinks(path)
	return err == nil && strings.HasPrefix(filepath.Base(filepath.Dir(target)), "..")
}
