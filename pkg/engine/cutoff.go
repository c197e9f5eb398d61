package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// cutOffAfter is how long nobody may lead before a person hears of it.
const cutOffAfter = 2 * time.Minute

// maxNamed bounds how many targets a message names.
const maxNamed = 10

// CutOff is the voice of a replica while nobody leads: the API server cannot be
// reached, or the lease is nobody's. Then no incident can be stored and nothing
// is done; each replica says so itself, under an id that all share, so that a pager
// holds one incident (INV-45, F-09).
type CutOff struct {
	id   string
	self incident.Target
	tell func(incident.Incident)

	mu       sync.Mutex
	since    time.Time
	told     *incident.Incident
	receipts map[string]incident.Receipt
}

// NewCutOff returns the voice of one replica of the installation.
func NewCutOff(installation string, tell func(incident.Incident)) *CutOff {
	return &CutOff{id: "cut-off-" + installation, self: incident.Target{Name: Self, Namespace: installation}, tell: tell, receipts: map[string]incident.Receipt{}}
}

// ID is that of the incident that is told.
func (c *CutOff) ID() string { return c.id }

// Look takes what is known now: why nobody leads (empty: somebody does), and the
// targets that this replica sees in breach, each with its rule.
func (c *CutOff) Look(now time.Time, why string, firing []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case why == "" && c.told != nil:
		i := *c.told
		i.Phase, i.ResolvedAt, i.UpdatedAt, i.Receipts = incident.Resolved, now, now, maps.Clone(c.receipts)
		c.since, c.told = time.Time{}, nil
		c.tell(i)
	case why == "":
		c.since = time.Time{}
	case c.since.IsZero() || now.Before(c.since):
		c.since = now
	case now.Sub(c.since) >= cutOffAfter:
		text := fmt.Sprintf("nobody leads watchdog (%s): nothing is done, and only what is urgent is told", why)
		if len(firing) > 0 {
			slices.Sort(firing)
			text += "; in breach: " + strings.Join(firing[:min(len(firing), maxNamed)], ", ")
			if more := len(firing) - maxNamed; more > 0 {
				text += fmt.Sprintf(" and %d more", more)
			}
		}
		if c.told != nil && c.told.PageReason == text {
			return
		}
		i := incident.Incident{ID: c.id, Target: c.self, Phase: incident.Escalated, HandedOver: true, Severity: incident.P1, Lead: "cut_off", Paged: true, PageReason: text, OpenedAt: c.since, UpdatedAt: now,
			Alerts:   []incident.Alert{{Rule: "cut_off", Severity: incident.P1, Firing: true, Verdict: incident.Breach, Reason: text, Was: why, ActiveAt: c.since, EvaluatedAt: now, Source: "watchdog"}},
			Timeline: []incident.Entry{{At: now, What: "paged", Text: text}}, Receipts: maps.Clone(c.receipts)}
		c.told = &i
		c.tell(i)
	}
}

// Delivered takes a receiver's receipt.
func (c *CutOff) Delivered(receiver string, r incident.Receipt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receipts[receiver] = r
}
