package selfwatch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/notify/receivers"
)

// A Secret that was deleted, or not made yet, must not end all watching; and it must
// not be noticed with the first page that is lost.
func TestAMissingSecretIsToldAndWatchingGoesOn_C(t *testing.T) {
	dir := t.TempDir()
	there, later := filepath.Join(dir, "there"), filepath.Join(dir, "later")
	if err := os.WriteFile(there, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("x.yaml", []byte("targets: []\nprometheus: {url: 'http://p', basic_auth: {username: a, "+
		"password_file: "+there+"}}\nreceivers: {slack: {token_file: "+later+", channel: c}, webhooks: [{name: a, "+
		"url_file: "+there+"}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receivers.FromConfig(c, time.Now); err != nil {
		t.Errorf("it does not start: %v", err)
	}
	if got := lacking(c); got != "receivers.slack.token_file ("+later+")" {
		t.Errorf("missing: %q", got)
	}
	m, now := &Missing{}, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	if a := m.Alarm(c, now); a.Firing {
		t.Error("told before the kubelet could mount it")
	}
	a := m.Alarm(c, now.Add(missingFor))
	if !a.Firing || !a.ActiveAt.Equal(now) || len(a.Ladder) != 1 ||
		!strings.Contains(a.Reason, "receivers.slack.token_file") {
		t.Errorf("%+v", a)
	}
	if err := os.WriteFile(later, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := m.Alarm(c, now.Add(missingFor+missingLook)); a.Firing {
		t.Errorf("it is there: %+v", a)
	}
}
