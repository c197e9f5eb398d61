//go:build integration

package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever installs replicas that reach each other by plain HTTP reads what travels so.
func TestTheNotesSayThatTokensTravelInPlainHTTP_S23(t *testing.T) {
	program, err := filepath.Abs("../../bin/testbed")
	if err != nil {
		t.Fatal(err)
	}
	const senders = "config: { alertmanager: { senders: [{ name: am, token_file: /t }] } }\n"
	for _, tt := range []struct {
		name, values string
		warns        bool
	}{
		{"two replicas and a sender", senders, true},
		{"two replicas and words by HTTP, which are passed on to nobody", "config: { api: { control: true } }\n",
			false},
		{"two replicas and nobody's token", "config: { mode: observe }\n", false},
		{"one replica", senders + "replicas: 1\n", false},
		{"TLS", senders + "web: { existingSecret: web, tls: true }\n", false},
		{"passwords without TLS", senders + "web: { existingSecret: web }\n", true},
	} {
		file := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(file, []byte(tt.values), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), program, "helm", "install", "wd", dir, "-n", "ops",
			"--dry-run=client", "-f", file).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", tt.name, err, out)
		}
		if got := strings.Contains(string(out), "by plain HTTP"); got != tt.warns {
			t.Errorf("%s: warned %v", tt.name, got)
		}
	}
}
