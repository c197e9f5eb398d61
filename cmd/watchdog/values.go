package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

// mounted is where the chart mounts the configuration and its extraFiles.
const mounted = "/etc/watchdog/"

// chartValues are the values of the chart with a configuration under `config`, laid out as the
// chart mounts them, so that what is checked is what will run.
type chartValues struct {
	dir  string
	file string // the configuration, with the lines of the values file
	back *strings.Replacer
}

// openValues lays out the values in a file. It returns nil if the file is none of
// the chart's, which `watchdog check` then reads as a configuration.
func openValues(path string) (*chartValues, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil // said when the file is read as a configuration
	}
	inner, extra, ok := splitValues(text)
	if !ok {
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "watchdog-check-")
	if err != nil {
		return nil, err
	}
	v := &chartValues{dir: dir, file: filepath.Join(dir, "watchdog.yaml")}
	v.back = strings.NewReplacer(v.file, path, dir+"/", mounted, dir, strings.TrimSuffix(mounted, "/"))
	inner = bytes.ReplaceAll(inner, []byte(mounted), []byte(dir+"/"))
	if err := os.WriteFile(v.file, inner, 0o600); err != nil {
		return v, err
	}
	for name, content := range extra {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(content), 0o600); err != nil {
			return v, err
		}
	}
	return v, nil
}

// close removes what was laid out.
func (v *chartValues) close() {
	if v != nil {
		_ = os.RemoveAll(v.dir)
	}
}

// said puts the names that people know into what was found.
func (v *chartValues) said(text string) string {
	if v == nil {
		return text
	}
	return v.back.Replace(text)
}

// splitValues returns the configuration in the chart's values, its lines and columns kept,
// and the extraFiles. A file without `config` at its top is none of the chart's.
func splitValues(text []byte) (inner []byte, extra map[string]string, ok bool) {
	var root yaml.Node
	if yaml.Unmarshal(text, &root) != nil || len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return nil, nil, false
	}
	top := root.Content[0]
	var key, value *yaml.Node
	last := bytes.Count(text, []byte("\n")) + 2
	for i := 0; i+1 < len(top.Content); i += 2 {
		k, v := top.Content[i], top.Content[i+1]
		switch {
		case k.Value == "config":
			key, value = k, v
		case key != nil && k.Line < last:
			last = k.Line
		}
		if k.Value == "extraFiles" {
			_ = v.Decode(&extra) // of another shape: the chart's schema says so
		}
	}
	if key == nil {
		return nil, nil, false
	}
	if top.Style&yaml.FlowStyle != 0 || last == key.Line {
		inner, err := yaml.Marshal(value)
		return inner, extra, err == nil
	}
	if value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null" {
		return nil, extra, true
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for i, line := range lines {
		switch n := i + 1; {
		case n < key.Line || n >= last:
			lines[i] = []byte("\n")
		case n == key.Line:
			end := bytes.IndexByte(line[key.Column-1:], ':') + key.Column
			lines[i] = append(bytes.Repeat([]byte(" "), end), line[end:]...)
		}
	}
	return bytes.Join(lines, nil), extra, true
}
