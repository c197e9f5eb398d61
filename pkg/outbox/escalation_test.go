package outbox

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

func TestAReceiverIsToldFromItsStepOn(t *testing.T) {
	x := &Outbox{}
	x.Escalate(Steps(notifytest.Escalation()))
	notified := incident.Receipt{State: "firing"}
	for _, tt := range []struct {
		receiver string
		severity incident.Severity
		step     int
		prev     incident.Receipt
		early    bool
	}{
		{"pagerduty", incident.P1, 0, incident.Receipt{}, false},
		{"slack", incident.P1, 0, incident.Receipt{}, false},
		{"mail", incident.P1, 0, incident.Receipt{}, true},
		{"mail", incident.P1, 1, incident.Receipt{}, false},
		{"mail", incident.P1, 0, notified, false},
		{"boss", incident.P1, 1, incident.Receipt{}, true},
		{"boss", incident.P1, 5, incident.Receipt{}, false},
		{"boss", incident.P0, 0, incident.Receipt{}, false},
	} {
		it := &item{receiver: tt.receiver, incident: incident.Incident{Severity: tt.severity, Step: tt.step},
			waits: true, receipt: tt.prev}
		d := x.decide(&lane{out: x, name: tt.receiver}, it, time.Now())
		if got := d.reason == stepNotReached; got != tt.early {
			t.Errorf("%s at step %d of a %s: early %v", tt.receiver, tt.step, tt.severity, got)
		}
	}
}

// A fallback that a step names, too, does both: it is told at once of what its
// receiver does not take, and from its step on of what that one took.
func TestAFallbackThatAStepNames_INV42(t *testing.T) {
	for _, tt := range []struct {
		name     string
		named    int // step that names it
		dead     bool
		step     int
		notified bool
	}{
		{"its receiver is dead before the step", 1, true, 0, true},
		{"its receiver works before the step", 1, false, 0, false},
		{"its receiver works, and the step has come", 1, false, 1, true},
		{"the first step names it", 0, false, 0, true},
		{"no step names it", -1, false, 3, false},
		{"no step names it, and its receiver is dead", -1, true, 0, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			spare := standIn{fake: &fake{name: "spare"}}
			x := outbox(t, t.TempDir(), nil, &fake{name: "primary", do: func(context.Context, incident.Incident) error {
				if tt.dead {
					return errors.New("down")
				}
				return nil
			}}, spare)
			c := &config.Config{Response: []config.Response{{Severity: incident.P1,
				Steps: []config.Step{{Receivers: []string{"primary"}}, {Receivers: []string{"x"}}}}}}
			if tt.named >= 0 {
				s := &c.Response[0].Steps[tt.named]
				s.Receivers = append(s.Receivers, "spare")
			}
			x.Escalate(Steps(c))
			defer notifytest.Running(t, x)()
			i := notifytest.Trouble()
			i.Step = tt.step
			x.Tell(i)
			time.Sleep(time.Minute)
			synctest.Wait()
			if notified := spare.count() > 0; notified != tt.notified {
				t.Errorf("%s: told %v", tt.name, notified)
			}
		})
	}
}

// A fallback that a step names is to be told itself: if it does not take it, its own
// fallback is told, although the receiver that it stands in for took it.
func TestTheFallbackOfAFallbackThatAStepNames_INV42(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := standIn{fake: &fake{name: "second", do: func(context.Context,
			incident.Incident) error {
			return errors.New("down")
		}}}
		third := standIn{fake: &fake{name: "third"}, other: "second"}
		x := outbox(t, t.TempDir(), nil, &fake{name: "primary"}, second, third)
		x.Escalate(Steps(&config.Config{Response: []config.Response{{Severity: incident.P1,
			Steps: []config.Step{{Receivers: []string{"primary"}}, {Receivers: []string{"second"}}}}}}))
		defer notifytest.Running(t, x)()
		i := notifytest.Trouble()
		x.Tell(i)
		time.Sleep(time.Minute)
		synctest.Wait()
		if second.count() != 0 || third.count() != 0 {
			t.Errorf("before the step the second was told %d times, the third %d", second.count(), third.count())
		}
		i.Step, i.UpdatedAt = 1, notifytest.T0.Add(time.Hour)
		x.Tell(i)
		time.Sleep(time.Minute)
		synctest.Wait()
		if third.count() != 1 {
			t.Errorf("the third was told %d times", third.count())
		}
	})
}
