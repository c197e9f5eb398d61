package selfwatch

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

const (
	// missingFor is how long a file of credentials may be missing until people are notified:
	// the kubelet mounts a Secret that is made later within two minutes.
	missingFor = 3 * time.Minute
	// missingLook is how often the files are looked for.
	missingLook = 15 * time.Second
	maxMissing  = 5 // that are named
)

// Missing are the files of credentials that the configuration names and that do not
// exist. watchdog works without them, but then receivers may lack notifications.
type Missing struct {
	mu     sync.Mutex
	looked time.Time
	text   string
	since  time.Time
}

// lacking names the options whose files do not exist.
func lacking(cfg *config.Config) string {
	files := cfg.SecretFiles()
	var all []string
	for _, option := range slices.Sorted(maps.Keys(files)) {
		if _, err := os.Stat(files[option]); os.IsNotExist(err) {
			all = append(all, option+" ("+files[option]+")")
		}
	}
	more := len(all) - maxMissing
	if more > 0 {
		all = append(all[:maxMissing], fmt.Sprintf("%d more", more))
	}
	return strings.Join(all, ", ")
}

// Alarm is the alert on them, part of watchdog's own incident.
func (m *Missing) Alarm(cfg *config.Config, now time.Time) incident.Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.looked) >= missingLook || now.Before(m.looked) {
		text := lacking(cfg)
		if m.text == "" {
			m.since = now
		}
		m.looked, m.text = now, text
	}
	a := incident.Alert{Rule: "secret_missing", Severity: incident.P2, Verdict: incident.OK,
		Reason: "all credential files exist", Source: "watchdog", EvaluatedAt: now,
		Ladder: []incident.Rung{{Action: incident.ActionPage, Class: incident.C1}}}
	if m.text != "" && now.Sub(m.since) >= missingFor {
		a.Firing, a.Verdict, a.ActiveAt = true, incident.Breach, m.since
		a.Reason = "credential files do not exist: " + m.text + "; create the Secret or correct the option"
	}
	return a
}
