//go:build linux

package main

import (
	"bytes"
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
	PullDelay span              `json:"pullDelay"` // time to "pull"
	Sleep     span              `json:"sleep"`     // no process: run that long …
	Exit      *int              `json:"exit"`      // … then exit with this code
	ReadyIn   span              `json:"readyIn"`   // no process: ready after that long; "never"
	StopIn    span              `json:"stopIn"`    // no process: goes on that long after SIGTERM; "never"
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
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
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

// never is the span that does not end.
const never = span(1<<63 - 1)

// span is a duration as the catalogue writes it: "1.5s", "never", or nothing.
type span time.Duration

func (s *span) UnmarshalText(b []byte) error {
	switch string(b) {
	case "":
		*s = 0
		return nil
	case "never":
		*s = never
		return nil
	}
	d, err := time.ParseDuration(string(b))
	*s = span(d)
	return err
}

// over reports whether the span is over for what ran that long.
func (s span) over(ran time.Duration) bool { return s != never && ran >= time.Duration(s) }
