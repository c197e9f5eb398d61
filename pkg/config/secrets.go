package config

import (
	"fmt"
	"reflect"
	"strings"
)

// SecretFiles are the files with credentials that the configuration names, by the
// option that names each: receivers.slack.token_file.
func (c *Config) SecretFiles() map[string]string {
	all := map[string]string{}
	secretFiles(reflect.ValueOf(c).Elem(), "", all)
	return all
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

func secretFiles(v reflect.Value, path string, all map[string]string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			secretFiles(v.Elem(), path, all)
		}
	case reflect.Slice:
		for i := range v.Len() {
			secretFiles(v.Index(i), path, all)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			secretFiles(v.MapIndex(k), path+"."+k.String(), all)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if !f.IsExported() || key == "-" || key == "" && !strings.Contains(options, "inline") {
				continue
			}
			here := strings.TrimPrefix(path+"."+key, ".")
			if key == "" {
				here = path
			}
			if strings.HasSuffix(key, "_file") && key != "ca_file" && f.Type.Kind() == reflect.String {
				if file := v.Field(i).String(); file != "" {
					all[here] = file
				}
				continue
			}
			if files, ok := v.Field(i).Interface().([]string); ok &&
				(strings.HasSuffix(key, "_files") && key != "rule_files" || v.Type() == httpHeader && key == "files") {
				for k, file := range files {
					all[fmt.Sprintf("%s[%d]", here, k)] = file
				}
				continue
			}
			secretFiles(v.Field(i), here, all)
		}
	}
}
