package config

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// maxRuleFiles bounds how many rule files a configuration names.
const maxRuleFiles = 1000

// RuleText is one rule file.
type RuleText struct {
	Path   string
	Source string // local or prometheus
	Text   []byte
}

// ruleFiles reads the files that the configuration names: rules and templates. The
// hash is over them and over those that are read later, when it is built.
func (v *validator) ruleFiles(c *Config) {
	v.patterns(at{"rule_files"}, c.RuleFiles, "local", c)
	if c.Prometheus != nil {
		v.patterns(at{"prometheus", "rule_files"}, c.Prometheus.RuleFiles, "prometheus", c)
	}
	v.templates(c)
	all := slices.Concat(c.RuleTexts, c.TemplateTexts)
	for _, f := range c.singles() {
		// One that cannot be read is an error where it is used.
		text, _ := readRegular(f)
		all = append(all, RuleText{Path: f, Source: "file", Text: text})
	}
	c.Hash = hashWith(c.Hash, all)
}

// hashWith is the hash of a file and of those that it names.
func hashWith(hash string, all []RuleText) string {
	if len(all) == 0 {
		return hash
	}
	sum := sha256.New()
	sum.Write([]byte(hash))
	for _, t := range all {
		sum.Write([]byte(t.Source + "\x00" + t.Path + "\x00"))
		one := sha256.Sum256(t.Text)
		sum.Write(one[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Unchanged reports whether the file and those that it names have the bytes that they had when they
// were read. To hash them takes far less than to parse them. False: they may not.
func (c *Config) Unchanged() bool {
	text, err := readRegular(c.File)
	if err != nil {
		return false
	}
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:])
	var all []RuleText
	named := map[string][]string{"local": c.RuleFiles, "template": c.Templates, "prometheus": nil}
	if c.Prometheus != nil {
		named["prometheus"] = c.Prometheus.RuleFiles
	}
	for _, source := range []string{"local", "prometheus", "template"} {
		for _, pattern := range named[source] {
			found, err := filepath.Glob(c.beside(pattern))
			if err != nil || len(found) == 0 {
				return false
			}
			for _, f := range found {
				if source != "template" && slices.ContainsFunc(all, func(t RuleText) bool { return t.Path == f && t.Source == source }) {
					continue
				}
				text, err := readRegular(f)
				if err != nil {
					return false
				}
				all = append(all, RuleText{Path: f, Source: source, Text: text})
			}
		}
	}
	for _, f := range c.singles() {
		text, _ := readRegular(f)
		all = append(all, RuleText{Path: f, Source: "file", Text: text})
	}
	return hashWith(hash, all) == c.Hash
}

func (v *validator) patterns(a at, patterns []string, source string, c *Config) {
	for i, p := range patterns {
		path := p
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(v.file), path)
		}
		found, err := filepath.Glob(path)
		switch {
		case p == "" || err != nil:
			v.fail(a.key(i), "invalid path or pattern %q; for example rules/*.yaml", p)
		case len(found) == 0:
			v.fail(a.key(i), "no file matches %q; paths are relative to the configuration file", p)
		case len(found)+len(c.RuleTexts) > maxRuleFiles:
			v.fail(a.key(i), "too many rule files: %q matches %d; the limit is %d in all", p, len(found), maxRuleFiles)
			continue
		}
		for _, f := range found {
			if slices.ContainsFunc(c.RuleTexts, func(t RuleText) bool { return t.Path == f && t.Source == source }) {
				continue
			}
			text, err := readRegular(f)
			if err != nil {
				v.fail(a.key(i), "read rule file: %v", err)
				continue
			}
			c.RuleTexts = append(c.RuleTexts, RuleText{Path: f, Source: source, Text: text})
		}
	}
}

// maxTemplates bounds how many files of templates a configuration names.
const maxTemplates = 100

func (v *validator) templates(c *Config) {
	for i, p := range c.Templates {
		a, path := at{"templates", i}, p
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(v.file), path)
		}
		found, err := filepath.Glob(path)
		switch {
		case p == "" || err != nil:
			v.fail(a, "invalid path or pattern %q; for example templates/*.tmpl", p)
		case len(found) == 0:
			v.fail(a, "no file matches %q; paths are relative to the configuration file", p)
		case len(found)+len(c.TemplateTexts) > maxTemplates:
			v.fail(a, "too many template files: %q matches %d; the limit is %d in all", p, len(found), maxTemplates)
			continue
		}
		for _, f := range found {
			text, err := readRegular(f)
			if err != nil {
				v.fail(a, "read template file: %v", err)
				continue
			}
			c.TemplateTexts = append(c.TemplateTexts, RuleText{Path: f, Source: "template", Text: text})
		}
	}
}

// readRegular reads a file of at most maxFile bytes and one more, so that a
// larger one is noticed. A pipe or a device is no file.
func readRegular(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if s, err := f.Stat(); err != nil || !s.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: path, Err: os.ErrInvalid}
	}
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}
