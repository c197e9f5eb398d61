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

// leaderlessAfter is how long nobody may lead before a person hears of it, and blindFollowerAfter
// how long a replica that follows may see nothing.
const (
	leaderlessAfter    = 2 * time.Minute
	blindFollowerAfter = 5 * time.Minute
)

// maxNamed bounds how many targets a message names.
const maxNamed = 10

// LeaderlessNotifier tells of a replica while nobody leads: the API server cannot be
// reached, or the lease is nobody's. Then no incident can be stored and nothing
// is done; each replica says so itself, under an id that all share, so that a pager
// holds one incident (INV-45, F-09).
type LeaderlessNotifier struct{ localAlert }

// NewLeaderlessNotifier returns the notifier of one replica of the installation.
func NewLeaderlessNotifier(installation string, tell func(incident.Incident)) *LeaderlessNotifier {
	return &LeaderlessNotifier{newLocalAlert("leaderless-"+installation, "leaderless", incident.P1, leaderlessAfter, installation, tell)}
}

// Look takes what is known now: why nobody leads (empty: somebody does), and the
// targets that this replica sees in breach, each with its rule.
func (c *LeaderlessNotifier) Look(now time.Time, why string, firing []string) {
	text := fmt.Sprintf("nobody leads watchdog (%s): nothing is done, and only what is urgent is told", why)
	if len(firing) > 0 {
		slices.Sort(firing)
		text += "; in breach: " + strings.Join(firing[:min(len(firing), maxNamed)], ", ")
		if more := len(firing) - maxNamed; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
	}
	c.look(now, why, text)
}

// BlindFollower tells of a replica that follows and cannot see: if it had to take
// over now, it would be blind. The leader's own blindness is told by its engine.
type BlindFollower struct {
	localAlert
	replica string
}

// NewBlindFollower returns the notifier of one replica of the installation.
func NewBlindFollower(installation, replica string, tell func(incident.Incident)) *BlindFollower {
	return &BlindFollower{newLocalAlert("blind-follower-"+installation+"-"+replica, "blind_follower", incident.P2, blindFollowerAfter, installation, tell), replica}
}

// Look takes why this replica cannot see or not record what it would do; empty: it can, or
// it leads.
func (s *BlindFollower) Look(now time.Time, why string) {
	s.look(now, why, fmt.Sprintf("replica %s, which does not lead, could not take over: %s; if it had to now, nothing would be done", s.replica, why))
}

// localAlert tells, without a store, of something that lasts.
type localAlert struct {
	id       string
	rule     string
	severity incident.Severity
	after    time.Duration
	self     incident.Target
	tell     func(incident.Incident)

	mu       sync.Mutex
	since    time.Time
	open     *incident.Incident
	receipts map[string]incident.Receipt
}

func newLocalAlert(id, rule string, severity incident.Severity, after time.Duration, installation string, tell func(incident.Incident)) localAlert {
	return localAlert{id: id, rule: rule, severity: severity, after: after, self: incident.Target{Name: Self, Namespace: installation}, tell: tell, receipts: map[string]incident.Receipt{}}
}

// ID is that of the incident that is told.
func (v *localAlert) ID() string { return v.id }

// look takes why it is so now (empty: it is not), and how that is told.
func (v *localAlert) look(now time.Time, why, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case why == "" && v.open != nil:
		i := *v.open
		i.Phase, i.ResolvedAt, i.UpdatedAt, i.Receipts = incident.Resolved, now, now, maps.Clone(v.receipts)
		v.since, v.open = time.Time{}, nil
		v.tell(i)
	case why == "":
		v.since = time.Time{}
	case v.since.IsZero() || now.Before(v.since):
		v.since = now
	case now.Sub(v.since) >= v.after:
		if v.open != nil && v.open.PageReason == text {
			return
		}
		if v.open == nil {
			v.receipts = map[string]incident.Receipt{} // of the last time, which is over
		}
		i := incident.Incident{ID: v.id, Target: v.self, Phase: incident.Escalated, HandedOver: true, Severity: v.severity, Lead: v.rule, Paged: v.severity == incident.P1, PageReason: text, OpenedAt: v.since, UpdatedAt: now,
			Alerts:   []incident.Alert{{Rule: v.rule, Severity: v.severity, Firing: true, Verdict: incident.Breach, Reason: text, Was: why, ActiveAt: v.since, EvaluatedAt: now, Source: "watchdog"}},
			Timeline: []incident.Entry{{At: now, Kind: incident.KindPaged, Text: text}}, Receipts: maps.Clone(v.receipts)}
		v.open = &i
		v.tell(i)
	}
}

// Delivered takes a receiver's receipt.
func (v *localAlert) Delivered(receiver string, r incident.Receipt) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.receipts[receiver] = r
}
