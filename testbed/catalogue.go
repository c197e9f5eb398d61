//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// image is one entry of the catalogue, the testbed's stand-in for a registry.
type image struct {
	Exec      []string          `json:"exec"`      // program and leading arguments; empty: no process
	Env       map[string]string `json:"env"`       // the image's environment
	PullDelay string            `json:"pullDelay"` // time to "pull"
	Sleep     string            `json:"sleep"`     // no process: run that long …
	Exit      *int              `json:"exit"`      // … then exit with this code
	ReadyIn   string            `json:"readyIn"`   // no process: ready after that long; "never"
	Chroot    bool              `json:"chroot"`    // run in a private root with the pod's volumes
}

// catalogue is the file of images. It is read at each use, so that "pushing" an
// image is writing the file.
type catalogue struct{ path string }

// lookup returns the image, or an error that says why it cannot be pulled.
func (c catalogue) lookup(ref string) (image, error) {
	b, err := os.ReadFile(c.path)
	if err != nil {
		return image{}, err
	}
	m := map[string]image{}
	if err := json.Unmarshal(b, &m); err != nil {
		return image{}, fmt.Errorf("catalogue %s: %w", c.path, err)
	}
	im, ok := m[ref]
	if !ok {
		return image{}, fmt.Errorf("%q: not found in the catalogue", ref)
	}
	if len(im.Exec) > 0 && !filepath.IsAbs(im.Exec[0]) {
		im.Exec = append([]string{filepath.Join(filepath.Dir(c.path), im.Exec[0])}, im.Exec[1:]...)
	}
	return im, nil
}

// span reads a duration of the catalogue; what cannot be read is zero.
func span(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0
	}
	return d
}
