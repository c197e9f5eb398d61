package config

import (
	"fmt"
	"reflect"
	"strings"
)

// SecretFiles are the files with credentials that the configuration names, by the
// option that names each: receivers.slack.token_file.
func (c *Config) SecretFiles() map[string]string {
	s := secretFinder{found: map[string]string{}, fields: map[reflect.Type][]option{}}
	s.find(reflect.ValueOf(c).Elem())
	return s.found
}

var httpHeader = reflect.TypeFor[HTTPHeader]()

// InlinedSecrets are the texts under names that look like those of secrets, as of a header
// X-Api-Key. They belong into files, and are there all the same.
func (c *Config) InlinedSecrets() []string {
	var all []string
	inlined(reflect.ValueOf(c).Elem(), false, &all)
	return all
}

func inlined(v reflect.Value, secret bool, all *[]string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			inlined(v.Elem(), secret, all)
		}
	case reflect.Slice:
		for i := range v.Len() {
			inlined(v.Index(i), secret, all)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			inlined(v.MapIndex(k), secret || k.Kind() == reflect.String && secretKey(k.String()), all)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				inlined(v.Field(i), secret, all)
			}
		}
	case reflect.String:
		if secret {
			*all = append(*all, v.String())
		}
	}
}

// secretFinder looks for files with credentials. A configuration of many targets has the same
// few types many times over.
type secretFinder struct {
	found  map[string]string
	fields map[reflect.Type][]option
	path   []string
}

// option is a field that the file may have.
type option struct {
	index int
	key   string // empty: the options in it are those of what has it
	kind  optionKind
}

type optionKind uint8

const (
	ordinary   optionKind = iota
	secretFile            // names a file with credentials
	fileList              // names several
)

func secretFields(t reflect.Type) []option {
	var all []option
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || key == "-" || key == "" && !strings.Contains(options, "inline") {
			continue
		}
		o := option{index: i, key: key}
		switch {
		case strings.HasSuffix(key, "_file") && key != "ca_file" && f.Type.Kind() == reflect.String:
			o.kind = secretFile
		case f.Type == reflect.TypeFor[[]string]() &&
			(strings.HasSuffix(key, "_files") && key != "rule_files" || t == httpHeader && key == "files"):
			o.kind = fileList
		}
		all = append(all, o)
	}
	return all
}

func (s *secretFinder) find(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			s.find(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			s.find(v.Index(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			s.within(k.String(), v.MapIndex(k))
		}
	case reflect.Struct:
		options, known := s.fields[v.Type()]
		if !known {
			options = secretFields(v.Type())
			s.fields[v.Type()] = options
		}
		for _, o := range options {
			s.option(o, v.Field(o.index))
		}
	}
}

func (s *secretFinder) option(o option, v reflect.Value) {
	switch {
	case o.kind == secretFile:
		if file := v.String(); file != "" {
			s.found[s.name(o.key)] = file
		}
	case o.kind == fileList:
		for k := range v.Len() {
			s.found[fmt.Sprintf("%s[%d]", s.name(o.key), k)] = v.Index(k).String()
		}
	case o.key == "":
		s.find(v)
	default:
		s.within(o.key, v)
	}
}

// within looks into the value of a key.
func (s *secretFinder) within(key string, v reflect.Value) {
	s.path = append(s.path, key)
	s.find(v)
	s.path = s.path[:len(s.path)-1]
}

func (s *secretFinder) name(key string) string {
	return strings.Join(append(s.path[:len(s.path):len(s.path)], key), ".")
}
