package notify

import (
	"context"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

func TestAnEventThatIsTooLargeIsSentShorter_F92(t *testing.T) {
	rec, n := oneSide(t, recorders.PagerDuty)
	n.(*pagerDuty).about = about{links: []config.Link{{Name: "dashboard", URL: "https://grafana.example.com/"}}}
	// Refused by PagerDuty, with the status that it has for what is not valid.
	rec.Set(recorders.PagerDuty, recorders.TooLarge)
	i := trouble()
	i.Paged, i.PageReason = true, strings.Repeat("long ", 700)
	r := tell(t, n, i, incident.Receipt{})
	if rec.Attempts(recorders.PagerDuty) != 2 {
		t.Errorf("%d attempts", rec.Attempts(recorders.PagerDuty))
	}
	// Too large by what the API says of itself: not even tried.
	rec.Set(recorders.PagerDuty, recorders.OK)
	i.Unanswered = 1
	for range 3000 {
		i.Attempts = append(i.Attempts, incident.Attempt{Summary: strings.Repeat("x", 200)})
	}
	r = tell(t, n, i, r)
	tell(t, n, over(i), r)
	all := rec.Requests(recorders.PagerDuty)
	if len(all) != 3 || rec.Attempts(recorders.PagerDuty) != 4 || all[2].Action != "resolve" {
		t.Fatalf("%d taken of %d", len(all), rec.Attempts(recorders.PagerDuty))
	}
	for _, q := range all[:2] {
		if len(q.Body) > 2<<10 || !strings.Contains(q.Summary, "P1 shop") || !strings.Contains(string(q.Body), "watchdog why 01inc") || !strings.Contains(string(q.Body), "does not take the whole event") {
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

func TestAChangeIsToldToPagerDutyAlone(t *testing.T) {
	rec, n := oneSide(t, recorders.PagerDuty)
	other, slack := oneSide(t, recorders.Slack)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	x := outbox(t, t.TempDir(), nil, n, slack)
	defer running(t, x)()
	c := Change{Target: trouble().Target, Revision: 7, Images: []string{"shop:v7"}, Cause: "release\n7", At: t0}
	rec.Set(recorders.PagerDuty, recorders.Broken)
	x.Changed(c)
	if err := rec.WaitFor(ctx, func(recorders.Snapshot) bool { return rec.Attempts(recorders.PagerDuty) == 1 }); err != nil {
		t.Fatal(err)
	}
	// A page does not wait for it.
	rec.Set(recorders.PagerDuty, recorders.OK)
	x.Tell(trouble())
	if err := rec.WaitFor(ctx, func(s recorders.Snapshot) bool { return len(s.Of(recorders.PagerDuty)) == 2 }); err != nil {
		t.Fatal(err)
	}
	all := rec.Requests(recorders.PagerDuty)
	if all[0].Action != "trigger" || all[1].Action != "change" || all[1].Summary != "shop-prod/deployment/shop: revision 7: shop:v7 (release 7)" || !strings.Contains(string(all[1].Body), "2026-01-01T12:00:00.000Z") || len(rec.PagerDutyIncidents()) != 1 {
		t.Errorf("%v", all)
	}
	if other.Attempts(recorders.Slack) > 1 {
		t.Errorf("Slack was asked %d times", other.Attempts(recorders.Slack))
	}
	// Too many at once are left out, and nobody waits.
	n.(*pagerDuty).changes = false
	for range 10 * maxChanges {
		x.Changed(c)
	}
}
