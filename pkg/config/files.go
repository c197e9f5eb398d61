package config

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"slices"
)

// beside makes a path of the file absolute or relative to where the file lies.
func (c *Config) beside(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.File), path)
}

// singles are the files that are named one by one and read when the configuration is
// built: manifests of Jobs, certificate authorities of receivers. Files of secrets
// are read at each use.
func (c *Config) singles() []string {
	var all []string
	for _, j := range c.JobTemplates {
		all = append(all, c.beside(j.File))
	}
	for _, w := range c.Receivers.Webhooks {
		all = append(all, w.CAFile)
	}
	for _, e := range c.Receivers.Emails {
		all = append(all, e.CAFile)
	}
	all = slices.DeleteFunc(all, func(p string) bool { return p == "" })
	slices.Sort(all)
	return slices.Compact(all)
}

// patterns name rule files and templates.
func (c *Config) patterns() []string {
	all := slices.Concat(c.RuleFiles, c.Templates)
	if c.Prometheus != nil {
		all = append(all, c.Prometheus.RuleFiles...)
	}
	for i, p := range all {
		all[i] = c.beside(p)
	}
	return all
}

// Folders are where the configuration and every file that belongs to it lie.
func (c *Config) Folders() []string {
	all := []string{filepath.Dir(c.File)}
	for _, p := range slices.Concat(c.patterns(), c.singles()) {
		all = append(all, filepath.Dir(p))
	}
	for _, t := range slices.Concat(c.RuleTexts, c.TemplateTexts) {
		all = append(all, filepath.Dir(t.Path))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Fingerprint changes when the file or one that belongs to it does, is added or is
// gone. It reads them again and decodes nothing.
func (c *Config) Fingerprint() string {
	sum := sha256.New()
	add := func(path string) {
		text, err := readRegular(path)
		one := sha256.Sum256(text)
		sum.Write([]byte(path + "\x00"))
		if err == nil {
			sum.Write(one[:])
		}
	}
	add(c.File)
	for _, p := range c.patterns() {
		found, err := filepath.Glob(p)
		if err != nil {
			continue // the file was refused for it
		}
		for _, f := range found {
			add(f)
		}
	}
	for _, f := range c.singles() {
		add(f)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
