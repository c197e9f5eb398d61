package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/policyfile"
)

func TestTheClientFollowsTheFile(t *testing.T) {
	cfg := policyfile.Load(t, "alertmanager: { senders: [] }\n"+policyfile.Routed, policyfile.Rules)
	if c, err := newAlertmanager(cfg.Alertmanager, "ops", time.Now); c != nil || err != nil {
		t.Errorf("%v %v: no silences are asked for", c, err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg = policyfile.Load(t,
		"alertmanager: { silences: { urls: [\"http://am:9093\"], bearer_token_file: "+token+" } }\n"+policyfile.Routed,
		policyfile.Rules)
	if c, err := newAlertmanager(cfg.Alertmanager, "ops", time.Now); c == nil || err != nil {
		t.Errorf("%v %v", c, err)
	}
}
