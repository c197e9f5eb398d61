package config

import (
	"errors"
	"fmt"
	"io"
	"os"
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
		return nil, Errors{{File: name, Message: fmt.Sprintf("file is larger than %d MiB", maxFile>>20)}}
	}
	c, root, err := decode(name, text)
	values := secretsIn(root)
	secrets := sync.OnceValue(func() *hider { return newHider(text, values) })
	var all Errors
	if errors.As(err, &all) {
		secrets().problems(all)
		return nil, all
	}
	if err != nil {
		return nil, err
	}
	if c.quoting {
		secrets().problems(c.warnings)
	}
	c.secrets = secrets
	return c, nil
}

// secretsOf are the secrets in what can be read of a file.
func secretsOf(text []byte) []string {
	root := &yaml.Node{}
	_ = yaml.Unmarshal(text, root) // the error is said where the file is read
	return secretsIn(root)
}

// Warnings are things that are allowed and probably not meant.
func (c *Config) Warnings() []Problem { return c.warnings }
