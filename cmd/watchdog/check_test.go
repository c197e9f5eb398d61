package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoCommandShowsAnInlinedSecret_S19 hands a file with secrets and mistakes to each
// command that reads one.
func TestNoCommandShowsAnInlinedSecret_S19(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const config = `mode: hunter2
evaluation_interval: hunter2
receivers:
  slack:
    channel: c
    token: hunter2
  webhooks:
    - {name: a, url: "https://hooks.slack.com/services/T/B/hunter2", wrong: 1}
prometheus:
  url: http://me:hunter2@p
  basic_auth:
    username: me
    password: |
      hunter2
`
	// It is valid until it is built: the manifest of the Job is not.
	const built = `targets: [{name: a, namespace: n, workload: deployment/a}]
job_templates: {flush: {file: job.yaml}}
`
	broken, late := file("watchdog.yaml", config), file("late.yaml", built)
	values := file("values.yaml", "config:\n  "+strings.ReplaceAll(strings.TrimSpace(config), "\n",
		"\n  ")+"\nextraFiles: {a: b}\n")
	file("job.yaml", "apiVersion: batch/v1\nkind: hunter2-the-job\nmetadata: {name: a}\nspec:\n  template:\n    "+
		"spec:\n      containers:\n        - name: a\n          env:\n            - name: DB_PASSWORD\n             "+
		" value: hunter2-the-job\n")
	for name, tc := range map[string]struct {
		args []string
		want string // is said all the same
	}{
		"check":                    {[]string{"check", broken}, "token: <hidden>"},
		"check in JSON":            {[]string{"check", "-o", "json", broken}, `"path": "receivers.slack.token"`},
		"check of chart values":    {[]string{"check", values}, "token: <hidden>"},
		"check of what is built":   {[]string{"check", late}, "job_templates: flush"},
		"simulate":                 {[]string{"simulate", "--config", broken}, "token: <hidden>"},
		"simulate of what is late": {[]string{"simulate", "--config", late}, "job_templates: flush"},
		"backtest":                 {[]string{"backtest", broken, "--from", dir}, "receivers.slack.token"},
		"test": {[]string{"test", file("test.yaml", "config: watchdog.yaml\ntests: []\n")},
			"receivers.slack.token"},
		"test of a broken file": {[]string{"test", file("broken-test.yaml",
			"token: hunter2\nevaluation_interval: hunter2\n")}, "broken-test.yaml"},
		"run": {[]string{"run", "--config.file", broken, "--data-dir", filepath.Join(dir, "data")},
			"receivers.slack.token"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			root := newRoot()
			root.SetOut(&out)
			root.SetErr(&out)
			root.SetArgs(tc.args)
			err := root.ExecuteContext(t.Context())
			said := out.String()
			if err == nil {
				t.Errorf("it succeeds: %s", said)
			} else {
				said += err.Error()
			}
			said = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(said)
			if strings.Contains(said, "hunter") || !strings.Contains(said, tc.want) {
				t.Errorf("want %q, and no secret:\n%s", tc.want, said)
			}
		})
	}
}
