package outbox

import (
	"context"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/notify"
)

func TestAChangeIsToldToPagerDutyAlone(t *testing.T) {
	rec, n := oneSide(t, recorders.PagerDuty)
	other, slack := oneSide(t, recorders.Slack)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	x := outbox(t, t.TempDir(), nil, n, slack)
	defer notifytest.Running(t, x)()
	c := notify.Change{Target: notifytest.Trouble().Target, Revision: 7, Images: []string{"shop:v7"},
		Cause: "release\n7", At: notifytest.T0}
	rec.Set(recorders.PagerDuty, recorders.Broken)
	x.Changed(c)
	if err := rec.WaitFor(ctx,
		func(recorders.Snapshot) bool { return rec.Attempts(recorders.PagerDuty) == 1 }); err != nil {
		t.Fatal(err)
	}
	// A page does not wait for it.
	rec.Set(recorders.PagerDuty, recorders.OK)
	x.Tell(notifytest.Trouble())
	if err := rec.WaitFor(ctx,
		func(s recorders.Snapshot) bool { return len(s.Of(recorders.PagerDuty)) == 2 }); err != nil {
		t.Fatal(err)
	}
	all := rec.Requests(recorders.PagerDuty)
	if all[0].Action != "trigger" || all[1].Action != "change" ||
		all[1].Summary != "shop-prod/deployment/shop: revision 7: shop:v7 (release 7)" ||
		!strings.Contains(string(all[1].Body), "2026-01-01T12:00:00.000Z") || len(rec.PagerDutyIncidents()) != 1 {
		t.Errorf("%v", all)
	}
	if other.Attempts(recorders.Slack) > 1 {
		t.Errorf("Slack was asked %d times", other.Attempts(recorders.Slack))
	}
	// Too many at once are left out, and nobody waits.
	x.Replace([]notify.Notifier{slack})
	for range 10 * maxChanges {
		x.Changed(c)
	}
}
