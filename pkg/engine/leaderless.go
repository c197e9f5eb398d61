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

// leaderlessAfter is how long there may be no leader before a person is notified, and
// blindFollowerAfter how long a follower may be without data.
const (
	leaderlessAfter    = 2 * time.Minute
	blindFollowerAfter = 5 * time.Minute
)

// maxNamed bounds how many targets a message names.
const maxNamed = 10

// LeaderlessNotifier notifies while there is no leader: the API server cannot be reached, or
// the lease is free. Then no incident can be stored and no action taken; each replica
// notifies by itself, with a common id, so that a pager has one incident (INV-45, F-09).
type LeaderlessNotifier struct{ localAlert }

// NewLeaderlessNotifier returns the notifier of one replica of the installation.
func NewLeaderlessNotifier(installation string, tell func(incident.Incident)) *LeaderlessNotifier {
	return &LeaderlessNotifier{newLocalAlert("leaderless-"+installation, "leaderless", incident.P1, leaderlessAfter,
		installation, tell)}
}

// Look takes what is known now: why there is no leader (empty: there is one), and the
// targets that this replica sees in breach, each with its rule.
func (c *LeaderlessNotifier) Look(now time.Time, why string, firing []string) {
	slices.Sort(firing)
	t := trouble{why: why, named: slices.Clone(firing[:min(len(firing), maxNamed)])}
	t.more = len(firing) - len(t.named)
	text := fmt.Sprintf("watchdog has no leader (%s): no remediation; only urgent alerts are sent", why)
	if len(t.named) > 0 {
		text += "; in breach: " + strings.Join(t.named, ", ")
	}
	if t.more > 0 {
		text += fmt.Sprintf(" and %d more", t.more)
	}
	c.look(now, t, text)
}

// BlindFollower notifies of a follower without data, which would be blind after a failover.
// The leader's engine reports its own blindness.
type BlindFollower struct {
	localAlert
	replica string
}

// NewBlindFollower returns the notifier of one replica of the installation.
func NewBlindFollower(installation, replica string, tell func(incident.Incident)) *BlindFollower {
	return &BlindFollower{newLocalAlert("blind-follower-"+installation+"-"+replica, "blind_follower", incident.P2,
		blindFollowerAfter, installation, tell), replica}
}

// Look takes why this replica cannot see or not record what it would do; empty: it can, or
// it leads.
func (s *BlindFollower) Look(now time.Time, why string) {
	text := fmt.Sprintf("follower %s could not take over: %s; after a failover watchdog would take no "+
		"actions", s.replica, why)
	s.look(now, trouble{why: why}, text)
}

// trouble is what a replica reports of itself, as data: a change is sent again.
type trouble struct {
	why   string // empty: there is none
	named []string
	more  int // targets beside those named
}

func (t trouble) equal(o trouble) bool {
	return t.why == o.why && t.more == o.more && slices.Equal(t.named, o.named)
}

// localAlert notifies of a lasting problem without a store.
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
	last     trouble // as told with open
	receipts map[string]incident.Receipt
}

func newLocalAlert(id, rule string, severity incident.Severity, after time.Duration, installation string,
	tell func(incident.Incident)) localAlert {
	return localAlert{id: id, rule: rule, severity: severity, after: after,
		self: incident.Target{Name: Self, Namespace: installation}, tell: tell, receipts: map[string]incident.Receipt{}}
}

// ID is that of the incident that is told.
func (l *localAlert) ID() string { return l.id }

// look takes what is wrong now, and the text that tells it.
func (l *localAlert) look(now time.Time, t trouble, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case t.why == "" && l.open != nil:
		i := *l.open
		i.Phase, i.ResolvedAt, i.UpdatedAt, i.Receipts = incident.Resolved, now, now, maps.Clone(l.receipts)
		l.since, l.open = time.Time{}, nil
		l.tell(i)
	case t.why == "":
		l.since = time.Time{}
	case l.since.IsZero() || now.Before(l.since):
		l.since = now
	case now.Sub(l.since) >= l.after:
		if l.open != nil && l.last.equal(t) {
			return
		}
		if l.open == nil {
			l.receipts = map[string]incident.Receipt{} // of the last time, which is over
		}
		i := incident.Incident{ID: l.id, Target: l.self, Phase: incident.Escalated, HandedOver: true,
			Severity: l.severity, Lead: l.rule, Paged: l.severity == incident.P1, PageReason: text, OpenedAt: l.since,
			UpdatedAt: now,
			Alerts: []incident.Alert{{Rule: l.rule, Severity: l.severity, Firing: true, Verdict: incident.Breach,
				Reason: text, Was: t.why, ActiveAt: l.since, EvaluatedAt: now, Source: "watchdog"}},
			Timeline: []incident.Entry{{At: now, Kind: incident.KindPaged, Text: text}},
			Receipts: maps.Clone(l.receipts)}
		l.open, l.last = &i, t
		l.tell(i)
	}
}

// Delivered takes a receiver's receipt.
func (l *localAlert) Delivered(receiver string, r incident.Receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts[receiver] = r
}
