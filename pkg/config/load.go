package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

// maxFile is the largest configuration that is read: ten thousand targets fit.
const maxFile = 8 << 20

// maxProblems is how many problems of one file are told.
const maxProblems = 100

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
// What they quote of the file has no secrets.
func Parse(name string, text []byte) (*Config, error) {
	if len(text) > maxFile {
		return nil, Errors{{File: name, Message: fmt.Sprintf("the file is larger than %d MiB", maxFile>>20)}}
	}
	c, err := decode(name, text)
	secrets := sync.OnceValue(func() *hider { return newHider(text, documents(text)) })
	var all Errors
	if errors.As(err, &all) {
		secrets().problems(all)
		return nil, all
	}
	if err != nil {
		return nil, err
	}
	if len(c.warnings) > 0 {
		secrets().problems(c.warnings)
	}
	c.secrets = secrets
	return c, nil
}

// documents is what can be read of a file.
func documents(text []byte) *yaml.Node {
	root := &yaml.Node{}
	_ = yaml.Unmarshal(text, root) // the error is said where the file is read
	return root
}

// decode is Parse without hiding secrets.
func decode(name string, text []byte) (*Config, error) {
	c := &Config{File: name}
	sum := sha256.Sum256(text)
	c.Hash = hex.EncodeToString(sum[:])
	root := &yaml.Node{}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(root); err != nil && !errors.Is(err, io.EOF) {
		return nil, decodeErrors(name, root, err)
	}
	second := &yaml.Node{}
	if err := dec.Decode(second); !errors.Is(err, io.EOF) {
		return nil, Errors{{File: name, Line: max(1, second.Line), Column: max(1, second.Column), Message: "more than one YAML document; a configuration is one"}}
	}
	v := &validator{file: name, root: root}
	if len(root.Content) > 0 {
		strict := yaml.NewDecoder(bytes.NewReader(text))
		strict.KnownFields(true)
		if err := strict.Decode(c); err != nil {
			v.problems = decodeErrors(name, root, err)
		}
		for _, p := range v.problems {
			v.unread.add(p.Path)
		}
	}
	v.zeroes(root, nil)
	c.setDefaults()
	v.config(c)
	if len(v.problems) > 0 {
		return nil, v.problems.inOrder()
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
		for _, e := range many.Errors[:min(len(many.Errors), maxProblems+1)] {
			all = append(all, problemOf(file, root, e))
		}
	case errors.As(err, &one):
		all = append(all, problemOf(file, root, one))
	default:
		all = append(all, Problem{File: file, Message: plain(err.Error())})
	}
	return all
}

func problemOf(file string, root *yaml.Node, e *yaml.LoadError) Problem {
	p := Problem{File: file, Line: e.Mark.Line, Column: max(1, e.Mark.Column), Message: plain(e.Message)}
	p.Path = pathAt(root, e.Mark.Line, e.Mark.Column)
	return p
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
