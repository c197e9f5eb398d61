package maintenance

import (
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/timeinterval"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func once(name string, from, until time.Duration, e Effects, targets ...string) Window {
	return Window{Name: name, From: noon.Add(from), Until: noon.Add(until), Targets: targets, Effects: e,
		Reason: "move", By: "alice"}
}

func recurring(t *testing.T, name, start, end string, e Effects, targets ...string) Window {
	t.Helper()
	c, err := timeinterval.New([]timeinterval.Interval{{Times: []timeinterval.Times{{StartTime: start, EndTime: end}}}})
	if err != nil {
		t.Fatal(err)
	}
	return Window{Name: name, Recurs: c, Targets: targets, Effects: e}
}

func TestAWindowGoesThroughItsPhases(t *testing.T) {
	w := once("db", time.Hour, 3*time.Hour, Effects{})
	for _, c := range []struct {
		after time.Duration
		ended time.Duration
		want  Phase
		used  float64
	}{
		{0, 0, Scheduled, 0}, {time.Hour, 0, Active, 0}, {2 * time.Hour, 0, Active, 0.5}, {3 * time.Hour, 0, Overrun,
			1}, {50 * time.Hour, 0, Overrun, 1},
		{2 * time.Hour, 2 * time.Hour, Ended, 0.5}, {2 * time.Hour, 3 * time.Hour, Active, 0.5}, {4 * time.Hour,
			3 * time.Hour, Ended, 1}, {0, -time.Hour, Ended, 0},
	} {
		x := w
		if c.ended != 0 {
			x.Ended = noon.Add(c.ended)
		}
		if got := x.PhaseAt(noon.Add(c.after)); got != c.want {
			t.Errorf("%s after noon, ended at %s: %s, want %s", c.after, c.ended, got, c.want)
		}
		if got := x.Used(noon.Add(c.after)); got != c.used {
			t.Errorf("%s after noon: %g used, want %g", c.after, got, c.used)
		}
	}
}

func TestTheStrictestOfSeveralWindowsCounts(t *testing.T) {
	off := once("off", -time.Hour, time.Hour, Effects{Page: PageHold, Remediate: RemediateOff, SLA: SLAExclude}, "shop")
	safe := once("safe", -time.Hour, 5*time.Hour, Effects{Remediate: RemediateSafe})
	later := once("later", time.Hour, 2*time.Hour, Effects{Page: PageHold})
	p := At([]Window{off, safe, later}, noon)
	if !p.Until.Equal(noon.Add(time.Hour)) || !p.Holds(noon.Add(time.Hour-1)) || p.Holds(noon.Add(time.Hour)) ||
		p.Holds(noon.Add(-1)) || (Present{}).Holds(noon) {
		t.Errorf("the present lasts until %s", p.Until)
	}
	s := p.Of("shop")
	if s.In == nil || s.In.Name != "safe" || s.Held == nil || s.Held.Name != "off" || s.Suspended.Name != "off" ||
		s.Remediate != RemediateOff || !s.Excluded {
		t.Errorf("shop: %+v", s)
	}
	if s := p.Of("cart"); s.In.Name != "safe" || s.Held != nil || s.Remediate != RemediateSafe ||
		s.Suspended.Name != "safe" || s.Excluded {
		t.Errorf("cart: %+v", s)
	}
	p = At([]Window{off, later}, noon)
	if s := p.Of("cart"); s.In != nil || s.Held != nil || s.Remediate != RemediateNormal || s.Suspended != nil {
		t.Errorf("a target outside: %+v", s)
	}
}

func TestARecurringWindowHasASpan(t *testing.T) {
	w := recurring(t, "nightly", "01:00", "03:00", Effects{})
	begin, end := w.Span(noon)
	if want := noon.Add(13 * time.Hour); !begin.Equal(want) || !end.Equal(want.Add(2*time.Hour)) ||
		w.PhaseAt(noon) != Scheduled {
		t.Errorf("%s to %s", begin, end)
	}
	if b, e := w.Span(begin.Add(time.Hour)); !b.Equal(begin) || !e.Equal(end) || w.Used(begin.Add(time.Hour)) != 0.5 {
		t.Errorf("%s to %s", b, e)
	}
}

func TestAWindowSaysWhoAndWhyAndHowLong(t *testing.T) {
	n := Now{once("db", -time.Hour, 42*time.Minute, Effects{}), noon.Add(-time.Hour), noon.Add(42 * time.Minute)}
	if got := n.Left(noon); got != "in maintenance until 12:42 UTC, 42m left, by alice: move" {
		t.Error(got)
	}
	if a, b := n.String(), n.Left(noon.Add(-20*time.Hour)); a != "in maintenance until 2026-03-01 12:42 UTC, by "+
		"alice: move" || b != "in maintenance until 2026-03-01 12:42 UTC, 20h42m left, by alice: move" {
		t.Error(a, b)
	}
	for d, want := range map[time.Duration]string{-1: "0s", 20 * time.Second: "20s", time.Minute: "1m",
		2 * time.Hour: "2h", 2*time.Hour + 5*time.Minute + 9*time.Second: "2h5m"} {
		if got := short(d); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
}

func TestWhetherATargetMayBeDeployed(t *testing.T) {
	inWindow := recurring(t, "releases", "11:00", "13:00", Effects{Deploy: DeployRequired}, "shop")
	freeze := once("freeze", 30*time.Minute, 2*time.Hour, Effects{Deploy: DeployForbidden})
	all := []Window{inWindow, freeze, once("other", -time.Hour, time.Hour, Effects{})}
	never, err := timeinterval.New([]timeinterval.Interval{{Years: []string{"2020"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, target string
		windows      []Window
		after        time.Duration
		may          bool
		text         string
	}{
		{"in the window it needs", "shop", all, 0, true,
			"window releases allows it: in maintenance until 13:00 UTC, 1h left"},
		{"a freeze counts more than the window it needs", "shop", all, 45 * time.Minute, false,
			"window freeze forbids deploys of shop: in maintenance until 14:00 UTC, 1h15m left, by alice: move"},
		{"outside of the window it needs", "shop", all, 3 * time.Hour, false,
			"shop may only be deployed in a window; the next one is releases, 2026-03-02 11:00 UTC to 2026-03-02 " +
				"13:00 UTC"},
		{"a target that needs none", "cart", all, 3 * time.Hour, true, "no window restricts"},
		{"no windows", "shop", nil, 0, true, "no window restricts"},
		{"a window that does not come again", "shop",
			[]Window{{Name: "old", Recurs: never, Effects: Effects{Deploy: DeployRequired}}}, 0, false,
			"window old, which does not occur within a year"},
		{"a window that is over asks for nothing more", "shop",
			[]Window{once("done", -2*time.Hour, -time.Hour, Effects{Deploy: DeployRequired})}, 0, true,
			"no window restricts"},
	} {
		may, why := MayDeploy(c.windows, c.target, noon.Add(c.after))
		if may != c.may || !strings.HasPrefix(why, c.text) && !strings.Contains(why, c.text) {
			t.Errorf("%s: %v, %s", c.name, may, why)
		}
	}
}

func TestAWindowThatTakesTooLongIsSaid(t *testing.T) {
	w := once("db", 0, 100*time.Minute, Effects{}, "shop", "cart")
	w.First = w.Until
	held := func(t string) string {
		if t == "shop" {
			return "migration"
		}
		return ""
	}
	longer, done := w, w
	longer.Until = w.Until.Add(time.Hour)
	done.Ended = noon.Add(90 * time.Minute)
	for _, c := range []struct {
		name   string
		window Window
		after  time.Duration
		want   Alarms
	}{
		{"before 80 %", w, 79 * time.Minute, Alarms{}},
		{"at 80 %", w, 80 * time.Minute, Alarms{Ending: "80% of window db has passed, 20m left, by alice: move"}},
		{"at 100 %", w, 100 * time.Minute,
			Alarms{Overrun: "window db reached its end at 13:40 UTC and nobody ended it"}},
		{"extended, and not yet past the first end", longer, 99 * time.Minute, Alarms{}},
		{"extended past the first end", longer, 101 * time.Minute,
			Alarms{Still: "window db was planned to end at 13:40 UTC, extended until 14:40 UTC"}},
		{"ended in time", done, 91 * time.Minute, Alarms{}},
		{"ended, and a target is on hold an hour later", done, 150 * time.Minute,
			Alarms{Still: "window db ended at 13:30 UTC, but shop is still on hold (migration)"}},
		{"a week later a hold is another matter", done, 9 * 24 * time.Hour, Alarms{}},
		{"scheduled", once("next", 200*time.Minute, 300*time.Minute, Effects{}), 0, Alarms{}},
		{"recurring ones end by themselves", recurring(t, "n", "00:00", "24:00", Effects{}), 11 * time.Hour, Alarms{}},
	} {
		got := Check([]Window{c.window}, noon.Add(c.after), held)
		for what, pair := range map[string][2]string{"ending": {got.Ending, c.want.Ending},
			"overrun": {got.Overrun, c.want.Overrun}, "still": {got.Still, c.want.Still}} {
			if !strings.HasPrefix(pair[0], pair[1]) || pair[1] == "" && pair[0] != "" {
				t.Errorf("%s, %s: %q, want %q", c.name, what, pair[0], pair[1])
			}
		}
	}
}

func TestAnEffectThatIsNoneIsRefused(t *testing.T) {
	for _, e := range []Effects{{Page: "off"}, {Remediate: "hold"}, {Deploy: "no"}, {SLA: "ignore"}} {
		if e.Check() == nil {
			t.Errorf("%+v is taken", e)
		}
	}
	if err := (Effects{PageHold, RemediateSafe, DeployForbidden, SLAExclude}).Check(); err != nil {
		t.Error(err)
	}
	if got := (Effects{Page: PageHold, Deploy: DeployAny, SLA: SLAExclude}).String(); got != "page=hold sla=exclude" {
		t.Error(got)
	}
}
