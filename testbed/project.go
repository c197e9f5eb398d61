//go:build linux

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// access is who may read the files of a volume.
type access struct {
	mode  fs.FileMode
	group int // owning group; -1: leave it
}

// project lays files as the kubelet does: a folder of its own, a symlink ..data
// to it, and one symlink per file through ..data. Replacing ..data changes all
// files at once. What did not change is left alone.
func project(at string, files map[string][]byte, a access) error {
	data := filepath.Join(at, "..data")
	if unchanged(data, files) {
		return nil
	}
	fresh := filepath.Join(at, ".."+time.Now().UTC().Format("2006_01_02_15_04_05.000000000"))
	if err := os.MkdirAll(fresh, 0o755); err != nil {
		return err
	}
	for name, b := range files {
		if err := a.write(filepath.Join(fresh, name), b); err != nil {
			return err
		}
	}
	old, _ := os.Readlink(data)
	tmp := filepath.Join(at, "..data_tmp")
	_ = os.Remove(tmp)
	if err := errors.Join(os.Symlink(filepath.Base(fresh), tmp), os.Rename(tmp, data), link(at, files)); err != nil {
		return err
	}
	if old == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(at, old))
}

// write replaces a file rather than writing into it: the old one may be read-only.
func (a access) write(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return err
	}
	if a.group >= 0 {
		if err := os.Lchown(path, -1, a.group); err != nil {
			return err
		}
	}
	return os.Chmod(path, a.mode)
}

// link makes one symlink per file, and removes those that lead nowhere any more.
func link(at string, files map[string][]byte) error {
	for name := range files {
		top, _, _ := strings.Cut(name, "/")
		if err := os.Symlink(filepath.Join("..data", top), filepath.Join(at, top)); err != nil &&
			!errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	links, err := os.ReadDir(at)
	if err != nil {
		return err
	}
	for _, l := range links {
		if f := filepath.Join(at, l.Name()); !strings.HasPrefix(l.Name(), "..") && !exists(f) {
			if err := os.Remove(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// unchanged reports whether the folder holds exactly these files.
func unchanged(data string, files map[string][]byte) bool {
	n := 0
	err := filepath.WalkDir(data+"/", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil || n != len(files) {
		return false
	}
	for name, b := range files {
		if was, err := os.ReadFile(filepath.Join(data, name)); err != nil || !bytes.Equal(was, b) {
			return false
		}
	}
	return true
}
