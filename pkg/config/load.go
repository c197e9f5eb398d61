package config

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFile is the largest configuration that is read: ten thousand targets fit.
const maxFile = 8 << 20

// Load reads and checks a file. The error is of type Errors when the file could
// be read and something in it is wrong.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	return Parse(path, b)
}

// Parse checks the text of a file called name: strict decoding, then defaults,
// then everything that must hold. It returns all problems at once.
func Parse(name string, text []byte) (*Config, error) {
	if len(text) > maxFile {
		return nil, Errors{{File: name, Message: fmt.Sprintf("the file is larger than %d MiB", maxFile>>20)}}
	}
	c := &Config{File: name}
	sum := sha256.Sum256(text)
	c.Hash = hex.EncodeToString(sum[:])
	root := &yaml.Node{}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(root); err != nil && !errors.Is(err, io.EOF) {
		return nil, decodeErrors(name, root, err)
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, Errors{{File: name, Message: "more than one YAML document; a configuration is one"}}
	}
	v := &validator{file: name, root: root}
	if len(root.Content) > 0 {
		strict := yaml.NewDecoder(bytes.NewReader(text))
		strict.KnownFields(true)
		if err := strict.Decode(c); err != nil {
			v.problems = decodeErrors(name, root, err)
		}
	}
	// What could not be decoded is zero, and would only be reported a second time.
	if len(v.problems) == 0 {
		c.setDefaults()
		v.config(c)
	}
	if len(v.problems) > 0 {
		slices.SortStableFunc(v.problems, func(a, b Problem) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
		return nil, Errors(v.problems)
	}
	c.warnings = v.warnings
	return c, nil
}

// Warnings are things that are allowed and probably not meant.
func (c *Config) Warnings() []Problem { return c.warnings }

// decodeErrors turns the YAML library's errors into problems with a place.
func decodeErrors(file string, root *yaml.Node, err error) Errors {
	var all Errors
	var many *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &many):
		for _, e := range many.Errors {
			all = append(all, problemOf(file, root, e))
		}
	case errors.As(err, &one):
		all = append(all, problemOf(file, root, one))
	default:
		all = append(all, Problem{File: file, Message: strings.TrimPrefix(err.Error(), "yaml: ")})
	}
	return all
}

func problemOf(file string, root *yaml.Node, e *yaml.LoadError) Problem {
	p := Problem{File: file, Line: e.Mark.Line, Column: max(1, e.Mark.Column), Message: plain(e.Message)}
	p.Path = pathAt(root, e.Mark.Line, e.Mark.Column)
	return p
}

// plain puts the YAML library's words into those of somebody who writes a configuration.
func plain(s string) string {
	s = strings.TrimPrefix(s, "yaml: ")
	if i := strings.Index(s, " not found in type "); i >= 0 && strings.HasPrefix(s, "field ") {
		return "unknown field " + strings.TrimPrefix(s[:i], "field ") + "; see docs/configuration.md"
	}
	for _, r := range [][2]string{{"cannot construct ", "cannot read "}, {"!!str ", "the text "}, {"!!int ", "the number "}, {"!!float ", "the number "}, {"!!bool ", ""}, {"!!seq", "a list"}, {"!!map", "a mapping"}, {"!!null", "nothing"}} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	if i := strings.Index(s, " into "); i >= 0 {
		s = s[:i] + "; another kind of value belongs here"
	}
	return s
}

// pathAt names the place in the document that begins at the line and column.
func pathAt(n *yaml.Node, line, column int) string {
	var best string
	var walk func(n *yaml.Node, path string)
	walk = func(n *yaml.Node, path string) {
		if n.Line > line || n.Kind == yaml.AliasNode {
			return
		}
		if n.Line == line && n.Column <= max(column, 1) || n.Line == line && best == "" {
			best = path
		}
		switch n.Kind {
		case yaml.DocumentNode:
			for _, c := range n.Content {
				walk(c, path)
			}
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				p := strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
				if k := n.Content[i]; k.Line == line && k.Column <= max(column, 1) {
					best = p
				}
				walk(n.Content[i+1], p)
			}
		case yaml.SequenceNode:
			for i, c := range n.Content {
				walk(c, fmt.Sprintf("%s[%d]", path, i))
			}
		}
	}
	walk(n, "")
	return best
}
