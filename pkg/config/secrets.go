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
			if files, ok := v.Field(i).Interface().([]string); ok && strings.HasSuffix(key, "_files") && key != "rule_files" {
				for k, file := range files {
					all[fmt.Sprintf("%s[%d]", here, k)] = file
				}
				continue
			}
			secretFiles(v.Field(i), here, all)
		}
	}
}
