package main

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

// decided is what comes of a command line.
func (p publishing) decided(inc incident.Incident, before incident.PublicAction,
	now time.Time) (incident.PublicAction, error) {
	r, err := p.request(inc.ID, now)
	if err != nil {
		return incident.PublicAction{}, err
	}
	r.By, r.At = "alice", now
	w, _, err := responder.Decide(inc, incident.ResponderActions{Public: before}, r)
	return w.Public, err
}

func TestAWordToThePublic(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	open := incident.Incident{ID: "01a", Phase: incident.Open}
	over := incident.Incident{ID: "01a", Phase: incident.Resolved}
	told := over
	told.Receipts = map[string]incident.Receipt{incident.PublicReceiver: {Ref: "sp1"}}
	yes, held := incident.PublicAction{Publish: true}, incident.PublicAction{Publish: true, HoldUntil: now.Add(time.Hour)}
	for name, c := range map[string]struct {
		p      publishing
		inc    incident.Incident
		before incident.PublicAction
		yes    bool
		until  time.Time
		err    string
	}{
		"a yes":             {publishing{}, open, incident.PublicAction{}, true, time.Time{}, ""},
		"a yes ends a hold": {publishing{}, open, held, true, time.Time{}, ""},
		"a hold": {publishing{holdFor: 2 * time.Hour, reason: "r"}, open, incident.PublicAction{},
			false, now.Add(2 * time.Hour), ""},
		"a hold keeps the yes": {publishing{holdFor: time.Hour, reason: "r"}, open, yes, true, now.Add(time.Hour),
			""},
		"until this afternoon": {publishing{until: "15:30", reason: "r"}, open, yes, true,
			now.Add(210 * time.Minute), ""},
		"until tomorrow morning": {publishing{until: "08:00", reason: "r"}, open, yes, true,
			now.Add(20 * time.Hour), ""},
		"until a date": {publishing{until: "2026-01-02T13:00:00+01:00", reason: "r"}, open, yes, true,
			now.Add(24 * time.Hour), ""},
		"until the past": {publishing{until: "2025-01-02T13:00:00Z", reason: "r"}, open, yes, true,
			time.Time{}, "lies in the past"},
		"until whenever": {publishing{until: "later", reason: "r"}, open, yes, true, time.Time{},
			"invalid time"},
		"a release":            {publishing{release: true}, open, held, true, time.Time{}, ""},
		"a release of nothing": {publishing{release: true}, open, yes, true, time.Time{}, "is not on hold"},
		"over and never told":  {publishing{}, over, yes, true, time.Time{}, "is resolved and was never published"},
		"over, the end is held": {publishing{holdFor: time.Hour, reason: "r"}, told, yes, true, now.Add(time.Hour),
			""},
		"a hold without a reason": {publishing{holdFor: time.Hour}, open, yes, true, time.Time{},
			"a hold requires --reason"},
		"a reason without end": {publishing{reason: strings.Repeat("x", maxReason+1)}, open, yes, true,
			time.Time{}, "is longer than"},
		"a hold and a release": {publishing{holdFor: time.Hour, release: true, reason: "r"}, open, yes, true,
			time.Time{}, "exclude each other"},
		"a hold that began too late": {publishing{holdFor: -time.Hour, reason: "r"}, open, yes, true, time.Time{},
			"lies in the past"},
	} {
		err := c.p.check()
		var w incident.PublicAction
		if err == nil {
			w, err = c.p.decided(c.inc, c.before, now)
		}
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || w.Publish != c.yes || !w.HoldUntil.Equal(c.until) {
			t.Errorf("%s: %+v, %v", name, w, err)
		}
	}
}

// Of two words the second is heard, also when the clock of the first was ahead.
func TestTheLastWordToThePublicCounts(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, ahead := range []time.Duration{0, -time.Minute, time.Hour} {
		first := incident.PublicAction{Attribution: incident.Attribution{By: "bob", At: now.Add(ahead)}, Publish: true}
		for _, inc := range []incident.Incident{{ID: "01a", Phase: incident.Open},
			{ID: "01a", Phase: incident.Open, Public: first}} {
			w, err := publishing{holdFor: time.Hour, reason: "r"}.decided(inc, first, now)
			inc.Public = first
			if err != nil || !inc.HasUpdates(incident.ResponderActions{Public: w}, time.Now()) {
				t.Errorf("first %s ahead: the second is no news: %+v, %v", ahead, w, err)
			}
		}
	}
}
