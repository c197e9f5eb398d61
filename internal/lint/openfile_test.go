package lint

import (
	"os"
	"strings"
	"testing"
)

func TestAFileThatEverybodyMayWriteToIsFound_S21(t *testing.T) {
	cfg := load(t, head+"rule_files: [r.yaml]\n", map[string]string{"r.yaml": "groups: []\n", "token": "x"})
	find := func() (all []string) {
		t.Helper()
		found, err := Check(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if f.Lint == "open-file" {
				all = append(all, f.String())
			}
		}
		return all
	}
	if all := find(); len(all) != 0 {
		t.Errorf("private files: %q", all)
	}
	if err := os.Chmod(cfg.RuleTexts[0].Path, 0o666); err != nil {
		t.Fatal(err)
	}
	if all := find(); len(all) != 1 || !strings.Contains(all[0], "file is world-writable (mode 0666)") ||
		!strings.Contains(all[0], "watchdog run rejects it") {
		t.Errorf("an open rule file: %q", all)
	}
	if err := os.Chmod(cfg.RuleTexts[0].Path, 0o600); err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSuffix(cfg.RuleTexts[0].Path, "r.yaml") + "token"
	cfg.Receivers.PagerDuty.RoutingKeyFile = token
	if err := os.Chmod(token, 0o644); err != nil {
		t.Fatal(err)
	}
	if all := find(); len(all) != 1 || !strings.Contains(all[0], "secret file is world-readable (mode 0644)") {
		t.Errorf("an open secret: %q", all)
	}
}
