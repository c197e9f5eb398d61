package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// notes are the timeline's texts of one kind.
func notes(i incident.Incident, kind incident.Kind) (all []string) {
	for _, e := range i.Timeline {
		if e.Kind == kind {
			all = append(all, e.Text)
		}
	}
	return all
}

// After the end of what people were needed for, the target is watched for an hour,
// whoever leads: it stayed well, or it came back.
func TestTheTimeAfterAnIncidentIsWatched(t *testing.T) {
	for _, tt := range []struct {
		name    string
		again   time.Duration // when it fails again, after its end; 0: not
		verdict string
		text    string
	}{
		{"it stays well", 0, "lasting", "no relapse within 1h0m0s"},
		{"it comes back", 12 * time.Minute, "relapsed", "opened on the same target 12m0s after this one resolved"},
		{"it comes back much later", 61 * time.Minute, "lasting", "no relapse"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(newWorld(), "page")
			s.response = hour{}
			well, ill := time.Now().Add(5*time.Minute), time.Time{}
			if tt.again > 0 {
				ill = well.Add(tt.again)
			}
			s.sick = sickWhile(func(*world) bool {
				return time.Now().Before(well) || !ill.IsZero() && !time.Now().Before(ill)
			})
			play(t, s, 30*time.Minute)
			play(t, s, time.Hour) // another leader
			all := s.stored(t)
			first := all[0]
			if got := notes(first, "recovery"); first.Recovery != tt.verdict || len(got) != 1 ||
				!strings.Contains(got[0], tt.verdict+": ") || !strings.Contains(got[0], tt.text) {
				t.Errorf("%s: %s %q", tt.name, first.Recovery, got)
			}
			if tt.verdict != "relapsed" {
				return
			}
			if len(all) != 2 || all[1].RelapseOf != first.ID || len(notes(all[1], "relapse")) != 1 {
				t.Errorf("%s: %d incidents: %+v", tt.name, len(all), all[len(all)-1].Timeline)
			}
		})
	}
}

// Nobody is told that the recovery lasts before it has.
func TestTheWatchIsNotCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(newWorld(), "page")
		s.response = hour{}
		well := time.Now().Add(5 * time.Minute)
		s.sick = sickWhile(func(*world) bool { return time.Now().Before(well) })
		play(t, s, time.Hour+4*time.Minute)
		if i := s.stored(t)[0]; i.Recovery != "" || len(notes(i, "recovery")) != 0 {
			t.Errorf("after 59 minutes: %s %q", i.Recovery, notes(i, "recovery"))
		}
	})
}

// stored are the incidents of the store, oldest first.
func (s *stage) stored(t *testing.T) []incident.Incident {
	t.Helper()
	all, err := s.Incidents(t.Context())
	if err != nil || len(all) == 0 {
		t.Fatalf("%d incidents, %v", len(all), err)
	}
	var out []incident.Incident
	for _, x := range all {
		out = append(out, x.Incident)
	}
	for k := range out {
		if k > 0 && out[k].OpenedAt.Before(out[k-1].OpenedAt) {
			out[k], out[k-1] = out[k-1], out[k]
		}
	}
	return out
}
