package pagerduty

import (
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/incident"
)

// X40: PagerDuty does not ring for a key whose page is open, acknowledged or not.
func TestAGraverSeverityIsAPageOfItsOwn_INV60(t *testing.T) {
	alice := incident.Attribution{By: "alice", At: notifytest.T0, Severity: incident.P2}
	minor := incident.Incident{ID: "i", Severity: incident.P2, Phase: incident.Open}
	acked := minor
	acked.Acked = alice
	grave := minor
	grave.Severity, grave.AckedBefore = incident.P0, alice
	grave.Timeline = []incident.Entry{{Kind: "severity"}}
	again := grave
	again.Acked, again.AckedBefore = incident.Attribution{By: "alice", At: notifytest.T0,
		Severity: incident.P0}, incident.Attribution{}
	over := func(i incident.Incident) incident.Incident { i.Phase = incident.Resolved; return i }
	told := func(state, ref string, s incident.Severity) incident.Receipt {
		return incident.Receipt{Ref: ref, State: state, Severity: s}
	}
	for _, tt := range []struct {
		name  string
		i     incident.Incident
		prev  incident.Receipt
		doubt bool
		want  string
		ref   string
	}{
		{"the first page", minor, incident.Receipt{}, false, "trigger i/P2", "i/P2"},
		{"somebody took it on", acked, told("triggered", "i/P2", "P2"), false, "acknowledge i/P2", "i/P2"},
		{"graver than what somebody took on", grave, told("acknowledged", "i/P2", "P2"), false,
			"trigger i/P0, resolve i/P2", "i/P0"},
		{"graver than what nobody took on", grave, told("triggered", "i/P2", "P2"), false, "trigger i/P0, resolve i/P2",
			"i/P0"},
		{"the same once more, as the end of the old page was not taken", grave, told("triggered", "i/P2", "P2"), true,
			"trigger i/P0, resolve i/P2, resolve i/P1, resolve i/P3", "i/P0"},
		{"graver before the first page arrived for certain", grave, incident.Receipt{}, true,
			"trigger i/P0, resolve i/P1, resolve i/P2, resolve i/P3", "i/P0"},
		{"taken on once more", again, told("triggered", "i/P0", "P0"), false, "acknowledge i/P0", "i/P0"},
		{"taken on as what it is before the pager heard of that", again, told("acknowledged", "i/P2", "P2"), false,
			"acknowledge i/P2", "i/P2"},
		{"less grave than it was", minor, told("triggered", "i/P0", "P0"), false, "trigger i/P0", "i/P0"},
		{"over", over(grave), told("triggered", "i/P0", "P0"), false, "resolve i/P0", "i/P0"},
		{"over, and the graver page may be there", over(grave), told("triggered", "i/P2", "P2"), false,
			"resolve i/P2, resolve i/P0", "i/P2"},
		{"told by an older version", minor, told("triggered", "i", ""), false, "trigger i", "i"},
		{"told by an older version, taken on, and graver", grave, told("acknowledged", "i", ""), false,
			"trigger i/P0, resolve i", "i/P0"},
		{"told by an older version, and over", over(minor), told("triggered", "i", ""), false,
			"resolve i, resolve i/P2", "i"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, next := Events(tt.i, tt.prev, []incident.Severity{"P0", "P1", "P2"}, tt.doubt)
			var got []string
			for _, e := range events {
				got = append(got, e.Action+" "+e.Key)
			}
			if all := strings.Join(got, ", "); all != tt.want || next.Ref != tt.ref {
				t.Errorf("told: %s; receipt of %s; want: %s; of %s", all, next.Ref, tt.want, tt.ref)
			}
			if more, same := Events(tt.i, next, []incident.Severity{"P0", "P1", "P2"}, false); len(more) > 0 ||
				same != next {
				t.Errorf("told again: %v", more)
			}
		})
	}
}

func TestPagerDutyRingsForAGraverSeverityAndHasOneOpenIncident_X40(t *testing.T) {
	rec, n := pagerSide(t)
	was, now := notifytest.Acknowledged()
	r := notifytest.Tell(t, n, was, notifytest.Tell(t, n, notifytest.Trouble(), incident.Receipt{}))
	r = notifytest.Tell(t, n, now, r)
	all := rec.PagerDutyIncidents()
	if len(all) != 2 || all["01inc/P1"].State != "resolved" || all["01inc/P0"].State != "triggered" {
		t.Fatalf("%+v", all)
	}
	body := string(rec.Requests(recorders.PagerDuty)[2].Body)
	for _, part := range []string{`"severity":"critical"`, `"page_before":"01inc/P1"`,
		"alice acknowledged this as P1; it is now P0"} {
		if !strings.Contains(body, part) {
			t.Errorf("no %s in %s", part, body)
		}
	}
	notifytest.Tell(t, n, notifytest.Over(now), r)
	for key, x := range rec.PagerDutyIncidents() {
		if x.State != "resolved" {
			t.Errorf("%s is %s after the end", key, x.State)
		}
	}
}
