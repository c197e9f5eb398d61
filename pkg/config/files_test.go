package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Every file that is read belongs to the configuration, wherever it lies: when one
// changes, so do the fingerprint that is compared and the hash that decides.
func TestEveryFileThatIsReadIsCompared_X50(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rule := func(name string) string {
		return "groups: [{name: g, rules: [{alert: " + name + ", expr: up == 0}]}]\n"
	}
	write("rules/a.yaml", rule("A"))
	write("prom/b.yaml", rule("B"))
	write("words/c.tmpl", `{{ define "c" }}c{{ end }}`)
	write("jobs/d.yaml", "kind: Job\n")
	ca := write("ca/hook.crt", "x")
	smtp := write("ca/smtp.crt", "x")
	file := write("etc/watchdog.yaml", `
targets: []
rule_files: [../rules/*.yaml]
prometheus: { url: "http://p", rule_files: [../prom/b.yaml] }
templates: [../words/*.tmpl]
job_templates: { d: { file: ../jobs/d.yaml } }
receivers:
  webhooks: [{ name: hook, url: "http://h", ca_file: `+ca+` }]
  emails: [{ name: mail, smarthost: "m:25", from: a@example.org, to: [b@example.org], ca_file: `+smtp+` }]
`)
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"etc", "rules", "prom", "words", "jobs", "ca"} {
		if !slices.Contains(c.Folders(), filepath.Join(root, dir)) {
			t.Errorf("%s is not watched: %v", dir, c.Folders())
		}
	}
	seen, hashes := []string{c.Fingerprint()}, []string{c.Hash}
	if again := c.Fingerprint(); again != seen[0] {
		t.Error("it changes without a reason")
	}
	for _, change := range [][2]string{
		{"rules/a.yaml", rule("A2")}, {"rules/new.yaml", rule("New")}, {"prom/b.yaml", rule("B2")}, {"words/c.tmpl",
			`{{ define "c" }}c2{{ end }}`},
		{"jobs/d.yaml", "kind: Job # other\n"}, {"ca/hook.crt", "y"}, {"ca/smtp.crt", "y"},
	} {
		write(change[0], change[1])
		next, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if f := c.Fingerprint(); slices.Contains(seen, f) {
			t.Errorf("%s changed, the fingerprint did not", change[0])
		} else {
			seen = append(seen, f)
		}
		if slices.Contains(hashes, next.Hash) {
			t.Errorf("%s changed, the hash did not: a reload would do nothing", change[0])
		}
		hashes = append(hashes, next.Hash)
	}
	if err := os.Remove(filepath.Join(root, "rules/new.yaml")); err != nil {
		t.Fatal(err)
	}
	if f := c.Fingerprint(); f == seen[len(seen)-1] {
		t.Error("a file is gone, the fingerprint does not change")
	}
}
