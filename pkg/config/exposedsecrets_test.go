package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const exposedConfig = `rule_files: [rules.yaml]
templates: [texts.tmpl]
targets: [{name: a, namespace: n, workload: deployment/a}]
job_templates: {flush: {file: job.yaml}}
receivers:
  slack: {token_file: DIR/token, channel: c}
  pagerduty: {routing_key_file: DIR/key, webhook: {secret_files: [DIR/mounted/secret], users: [{id: PABCDEF, user: a}]}}
  webhooks: [{name: w, url: http://a, ca_file: DIR/ca}]
`

// TestAFileThatEverybodyMayWriteToIsRefused_S21 opens one file of a configuration after
// the other.
func TestAFileThatEverybodyMayWriteToIsRefused_S21(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	plain := []string{"watchdog.yaml", "rules.yaml", "texts.tmpl", "job.yaml", "ca", "web.yaml"}
	for _, name := range plain {
		put(name, "groups: []\n", 0o644)
	}
	put("watchdog.yaml", strings.ReplaceAll(exposedConfig, "DIR", dir), 0o664)
	put("token", "x", 0o600)
	put("key", "x", 0o640)
	// As the kubelet mounts a Secret: links through ..data, 0644 in a folder of 0777.
	put("mounted/..2026_01_01/secret", "x", 0o644)
	for link, to := range map[string]string{"..data": "..2026_01_01", "secret": "..data/secret"} {
		if err := os.Symlink(to, filepath.Join(dir, "mounted", link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "mounted"), 0o777); err != nil {
		t.Fatal(err)
	}
	c, err := Load(filepath.Join(dir, "watchdog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	look := func() (refused, readable []string) {
		bad, warned := c.Exposed(filepath.Join(dir, "web.yaml"), "", filepath.Join(dir, "none"))
		for _, p := range bad {
			refused = append(refused, strings.ReplaceAll(p.String(), dir+"/", ""))
		}
		for _, p := range warned {
			readable = append(readable, strings.ReplaceAll(p.String(), dir+"/", ""))
		}
		return refused, readable
	}
	if refused, readable := look(); len(refused)+len(readable) != 0 {
		t.Errorf("as it should be: %q %q", refused, readable)
	}
	for _, name := range append(plain, "token", "key", "mounted/..2026_01_01/secret") {
		path := filepath.Join(dir, name)
		was, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
		want := strings.Replace(name, "..2026_01_01/", "", 1)
		if refused, _ := look(); len(refused) != 1 || !strings.HasPrefix(refused[0], want+": ") ||
			!strings.Contains(refused[0], "file is world-writable (mode 0666): run chmod o-w "+want) {
			t.Errorf("%s is open: %q", name, refused)
		}
		if err := os.Chmod(path, was.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	put("token", "x", 0o644)
	if refused, readable := look(); len(refused) != 0 || !slices.Equal(readable,
		[]string{"token: receivers.slack.token_file: secret file is world-readable (mode 0644): run chmod o-r token"}) {
		t.Errorf("a secret that everybody may read: %q %q", refused, readable)
	}
}
