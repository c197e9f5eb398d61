package pagerduty

import (
	"slices"
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

func TestAPageSaysThatItsTargetIsInMaintenance(t *testing.T) {
	i := notifytest.InMaintenance()
	details, _ := payload(i, notify.QuickReference{}).Details.(map[string]any)
	if details["maintenance"] != "This is "+i.Maintenance.Window {
		t.Errorf("PagerDuty: %v", details)
	}
}

// pagerSide is PagerDuty alone.
func pagerSide(t testing.TB) (*recorders.Recorder, *PagerDuty) {
	t.Helper()
	rec, cfg := notifytest.Sides(t)
	p, err := New("pagerduty", cfg.Receivers.PagerDuty, notify.QuickReference{})
	if err != nil {
		t.Fatal(err)
	}
	return rec, p
}

func TestAnEventThatIsTooLargeIsSentShorter_F92(t *testing.T) {
	rec, n := pagerSide(t)
	n.reference = notify.QuickReference{Links: []config.Link{{Name: "dashboard", URL: "https://grafana.example.com/"}}}
	// Refused by PagerDuty, with the status that it has for what is not valid.
	rec.Set(recorders.PagerDuty, recorders.TooLarge)
	i := notifytest.Trouble()
	i.Paged, i.PageReason = true, strings.Repeat("long ", 700)
	r := notifytest.Tell(t, n, i, incident.Receipt{})
	if rec.Attempts(recorders.PagerDuty) != 2 {
		t.Errorf("%d attempts", rec.Attempts(recorders.PagerDuty))
	}
	// Too large by what the API says of itself: not even tried.
	rec.Set(recorders.PagerDuty, recorders.OK)
	i.Unanswered = 1
	for range 3000 {
		i.Attempts = append(i.Attempts, incident.Attempt{Summary: strings.Repeat("x", 200)})
	}
	r = notifytest.Tell(t, n, i, r)
	notifytest.Tell(t, n, notifytest.Over(i), r)
	all := rec.Requests(recorders.PagerDuty)
	if len(all) != 3 || rec.Attempts(recorders.PagerDuty) != 4 || all[2].Action != "resolve" {
		t.Fatalf("%d taken of %d", len(all), rec.Attempts(recorders.PagerDuty))
	}
	for n, why := range []string{"PagerDuty rejected the full event", "larger than 512 KiB"} {
		q := all[n]
		if len(q.Body) > 2<<10 || !strings.Contains(q.Summary, "P1 shop") ||
			!strings.Contains(string(q.Body), "watchdog why 01inc") ||
			!strings.Contains(string(q.Body), why) {
			t.Errorf("%d bytes: %.300s", len(q.Body), q.Body)
		}
	}
	// What is refused for another reason is refused, after one more try.
	rec.Set(recorders.PagerDuty, recorders.Refused)
	i.Unanswered = 2
	if _, err := n.Notify(t.Context(), i, r); err == nil || rec.Attempts(recorders.PagerDuty) != 5 {
		t.Errorf("%v, %d attempts", err, rec.Attempts(recorders.PagerDuty))
	}
}

// An acknowledgement that came from PagerDuty is not told to PagerDuty.
func TestPagerDutyIsNotToldWhatItSaid(t *testing.T) {
	rec, n := pagerSide(t)
	i := notifytest.Trouble()
	r := notifytest.Tell(t, n, i, incident.Receipt{})
	i.Acked = incident.Attribution{By: "alice", At: notifytest.T0, Source: "pagerduty"}
	r = notifytest.Tell(t, n, i, r)
	if again := notifytest.Tell(t, n, i, r); again != r || r.State != "acknowledged" {
		t.Errorf("%+v, then %+v", r, again)
	}
	notifytest.Tell(t, n, notifytest.Over(i), r)
	var told []string
	for _, q := range rec.Snapshot().Requests {
		told = append(told, q.Action)
	}
	if want := []string{"trigger", "resolve"}; !slices.Equal(told, want) {
		t.Errorf("%v, want %v", told, want)
	}
}

func TestAPageSaysWhichObjectItIsAbout_X71(t *testing.T) {
	i := notifytest.Filling()
	quick := notify.NewQuickReference(&config.Config{}).Of(i)
	links := notifytest.JSON(t, quick.Links)
	notifytest.SaysItsObject(t, notifytest.JSON(t, payload(i, quick))+links)
	if strings.Contains(links, "javascript") {
		t.Error("it has a link to a script")
	}
	notifytest.SaysNoEmptyWorkload(t, payload(i, notify.QuickReference{}))
}
