package config

import (
	"os"
	"path/filepath"
	"testing"
)

// Every file that a configuration consists of is noticed when it changes, comes or goes.
func TestAConfigurationIsUnchangedWhileAllItsFilesAre(t *testing.T) {
	texts := map[string]string{
		"watchdog.yaml": "rule_files: [\"rules/*.yaml\", \"rules/a.yaml\"]\ntemplates: [\"*.tmpl\"]\n" +
			"prometheus: { url: \"http://p:9090\", rule_files: [server.yaml] }\njob_templates: { fix: { file: job.yaml } }\n" +
			"targets: [{ name: shop, namespace: prod, workload: deployment/shop }]\n",
		"rules/a.yaml": "groups: []", "server.yaml": "groups: []", "x.tmpl": "x", "job.yaml": "kind: Job",
	}
	for name, change := range map[string]func(dir string) error{
		"nothing":        nil,
		"the file":       func(dir string) error { return os.WriteFile(dir+"/watchdog.yaml", []byte("mode: observe"), 0o600) },
		"a rule file":    func(dir string) error { return os.WriteFile(dir+"/rules/a.yaml", []byte("groups: [ ]"), 0o600) },
		"a new file":     func(dir string) error { return os.WriteFile(dir+"/rules/b.yaml", []byte("groups: []"), 0o600) },
		"a missing file": func(dir string) error { return os.Remove(dir + "/rules/a.yaml") },
		"the server's":   func(dir string) error { return os.WriteFile(dir+"/server.yaml", []byte("groups: [ ]"), 0o600) },
		"a template":     func(dir string) error { return os.WriteFile(dir+"/x.tmpl", []byte("y"), 0o600) },
		"a manifest":     func(dir string) error { return os.WriteFile(dir+"/job.yaml", []byte("kind: job"), 0o600) },
		"no manifest":    func(dir string) error { return os.Remove(dir + "/job.yaml") },
		"no file":        func(dir string) error { return os.Remove(dir + "/watchdog.yaml") },
	} {
		dir := t.TempDir()
		if err := os.Mkdir(dir+"/rules", 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range texts {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, err := Load(dir + "/watchdog.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
		}
		if c.Unchanged() != (change == nil) {
			t.Errorf("%s changed: unchanged is %v", name, c.Unchanged())
		}
	}
}
