package ingest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

const minute = time.Minute

// says is one webhook alert at a moment: what it says, and when the alert it speaks
// of began and ended. Times are minutes after t0.
type says struct {
	at         int
	status     Status
	start, end int
	want       outcome
}

func (s says) alert() Alert {
	a := Alert{Fingerprint: "f", Status: s.status, Labels: model.LabelSet{"alertname": "A"},
		StartsAt: t0.Add(time.Duration(s.start) * minute), ReceivedAt: t0.Add(time.Duration(s.at) * minute)}
	if s.status == Resolved {
		a.EndsAt = t0.Add(time.Duration(s.end) * minute)
	}
	return a
}

// tell takes one alert and puts it into the store.
func tell(t *testing.T, b *Store, s says) {
	t.Helper()
	d := newDraft(b, t0.Add(time.Duration(s.at)*minute))
	if err := d.takeAll(b, []Alert{s.alert()}); err != nil {
		t.Fatal(err)
	}
	if d.outcomes[s.want] != 1 {
		t.Errorf("at minute %d, %s since %d: it was %v, want %s", s.at, s.status, s.start, d.outcomes, s.want)
	}
	// The end of what was not heard here is news, too: another leader may have heard it.
	if news := s.want == fires || s.want == resolves || s.want == early; (len(d.news) == 1) != news {
		t.Errorf("at minute %d, %s since %d: %d news", s.at, s.status, s.start, len(d.news))
	}
	b.put(d.changed)
}

func TestTheTimesOfAnAlertDecideNotTheOrderOfItsMessages_INV16(t *testing.T) {
	for _, tc := range []struct {
		name  string
		story []says
		end   Status
	}{
		{"it fires, is repeated, and resolves", []says{{1, Firing, 0, 0, fires}, {2, Firing, 0, 0, duplicate},
			{3, Resolved, 0, 3, resolves}, {4, Resolved, 0, 3, duplicate}}, Resolved},
		{"resolved comes before firing (F-84)", []says{{3, Resolved, 0, 3, early}, {3, Firing, 0, 0, stale}}, Resolved},
		{"an older resolved does not cancel a newer firing",
			[]says{{1, Firing, 0, 0, fires}, {10, Firing, 9, 0, fires}, {11, Resolved, 0, 5, stale}}, Firing},
		{"an older firing does not come back after a newer resolved",
			[]says{{10, Firing, 9, 0, fires}, {12, Resolved, 9, 12, resolves}, {13, Firing, 0, 0, stale}}, Resolved},
		{"an older firing beside a newer one changes nothing",
			[]says{{10, Firing, 9, 0, fires}, {11, Firing, 0, 0, duplicate}, {12, Resolved, 9, 12, resolves}},
			Resolved},
		{"a resolved that was missed: the next one begins anew",
			[]says{{1, Firing, 0, 0, fires}, {30, Firing, 29, 0, fires}, {40, Resolved, 29, 40, resolves}}, Resolved},
		{"two servers that began apart: the earlier start ends both",
			[]says{{2, Firing, 2, 0, fires}, {3, Firing, 0, 0, duplicate}, {9, Resolved, 0, 9, resolves},
				{9, Firing, 2, 0, stale}}, Resolved},
		{"the firing was missed, and its next episode is known",
			[]says{{9, Resolved, 5, 9, early}, {12, Firing, 11, 0, fires}}, Firing},
		{"only the ends are heard", []says{{9, Resolved, 5, 9, early}, {19, Resolved, 15, 19, early},
			{20, Firing, 5, 0, stale}, {21, Firing, 15, 0, stale}}, Resolved},
		{"yesterday's messages are sent again (F-83)", []says{{0, Firing, 0, 0, fires}, {5, Resolved, 0, 5, resolves},
			{1440, Firing, 0, 0, stale}, {1440, Resolved, 0, 5, duplicate}}, Resolved},
		{"yesterday's again, over a newer episode", []says{{0, Firing, 0, 0, fires}, {5, Resolved, 0, 5, resolves},
			{1430, Firing, 1430, 0, fires}, {1440, Firing, 0, 0, duplicate}, {1441, Resolved, 0, 5, stale}}, Firing},
		{"Alertmanager ended it while Prometheus was away; it goes on with its old start",
			[]says{{0, Firing, 0, 0, fires}, {5, Resolved, 0, 5, resolves}, {8, Firing, 0, 0, stale},
				{9, Firing, 0, 0, stale}, {18, Firing, 0, 0, fires}}, Firing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := NewStore(Limits{})
			for _, s := range tc.story {
				tell(t, b, s)
			}
			if got, _ := b.State(tc.story[0].alert().Key()); got != tc.end {
				t.Errorf("it ends %s, want %s", got, tc.end)
			}
			if n := len(b.Firing()); (n == 1) != (tc.end == Firing) {
				t.Errorf("%d firing at the end", n)
			}
		})
	}
}

// TestAnyOrderEndsInTheSameState_INV16 tells the messages of two episodes in every
// order, each up to twice: the state at the end is that of the later episode.
func TestAnyOrderEndsInTheSameState_INV16(t *testing.T) {
	messages := []says{{0, Firing, 0, 0, ""}, {5, Resolved, 0, 5, ""}, {9, Firing, 9, 0, ""}, {14, Resolved, 9, 14, ""}}
	for _, last := range []int{2, 3} { // the newest message that there is
		var order func(left []says, sent []says)
		order = func(left, sent []says) {
			if len(left) > 0 {
				for i := range left {
					order(slices.Concat(left[:i], left[i+1:]), append(slices.Clone(sent), left[i]))
				}
				return
			}
			b := NewStore(Limits{})
			for _, s := range slices.Concat(sent, sent[:1]) {
				d := newDraft(b, t0.Add(20*minute))
				d.take(s.alert())
				b.put(d.changed)
			}
			if got, _ := b.State(messages[0].alert().Key()); got != messages[last].status {
				t.Errorf("after %v it is %s, want %s", sent, got, messages[last].status)
			}
		}
		order(messages[:last+1], nil)
	}
}

func TestAThousandRepetitionsAreOneAlertAndNoWrite_F83(t *testing.T) {
	b := NewStore(Limits{})
	tell(t, b, says{1, Firing, 0, 0, fires})
	d := newDraft(b, t0.Add(minute+30*time.Second))
	for range 1000 {
		d.outcomes[d.take(says{1, Firing, 0, 0, ""}.alert())]++
	}
	if d.outcomes[duplicate] != 1000 || len(d.lines()) != 0 || len(d.news) != 0 {
		t.Errorf("%v, %d lines, %d news", d.outcomes, len(d.lines()), len(d.news))
	}
	b.put(d.changed)
	// The journal hears of it once a minute, so that a restart knows nearly as well when it was last seen.
	late := newDraft(b, t0.Add(3*minute))
	late.take(says{3, Firing, 0, 0, ""}.alert())
	late.take(says{3, Firing, 0, 0, ""}.alert())
	if len(late.lines()) != 1 || len(late.news) != 0 {
		t.Errorf("after two minutes: %d lines, %d news", len(late.lines()), len(late.news))
	}
	if h := b.Firing(); len(h) != 1 {
		t.Errorf("%d alerts fire", len(h))
	}
}

func TestSilenceIsLostAndNeverResolved(t *testing.T) {
	b := NewStore(Limits{Expire: time.Hour, Retain: 2 * time.Hour})
	tell(t, b, says{0, Firing, 0, 0, fires})
	tell(t, b, says{30, Firing, 0, 0, duplicate})
	if lost := b.expire(t0.Add(89 * minute)); len(lost) != 0 {
		t.Errorf("lost after 59 minutes of silence: %v", lost)
	}
	lost := b.expire(t0.Add(90 * minute))
	if len(lost) != 1 || lost[0].State != Lost || lost[0].Labels["alertname"] != "A" {
		t.Errorf("after an hour of silence: %v", lost)
	}
	if len(b.Firing()) != 0 || len(b.expire(t0.Add(91*minute))) != 0 {
		t.Error("what is lost does not fire, and is lost once")
	}
	tell(t, b, says{95, Firing, 0, 0, fires}) // found again
	b.expire(t0.Add(200 * minute))
	tell(t, b, says{201, Resolved, 0, 201, resolves}) // known again
	b.expire(t0.Add(201*minute + 3*time.Hour))
	if _, known := b.State(says{}.alert().Key()); known {
		t.Error("what was over for long is forgotten")
	}
}

func labelled(n int, s Status) Alert {
	a := Alert{Status: s, Labels: model.LabelSet{"n": model.LabelValue(fmt.Sprint(n))}, StartsAt: t0, ReceivedAt: t0}
	if s == Resolved {
		a.EndsAt = t0
	}
	return a
}

func TestABookThatIsFullRefusesWholeRequestsAndGoesOnWithWhatItHolds(t *testing.T) {
	b := NewStore(Limits{Firing: 3})
	try := func(alerts ...Alert) error {
		d := newDraft(b, t0)
		err := d.takeAll(b, alerts)
		b.put(d.changed)
		return err
	}
	if err := try(labelled(1, Firing), labelled(2, Firing)); err != nil {
		t.Fatal(err)
	}
	if err := try(labelled(3, Firing), labelled(4, Firing)); !errors.Is(err, ErrFull) ||
		!strings.Contains(err.Error(), "4 (limit 3)") {
		t.Errorf("one too many: %v", err)
	}
	if n, _ := b.Counts(); n != 2 {
		t.Errorf("%d fire; a request is taken whole or not at all", n)
	}
	for _, alerts := range [][]Alert{{labelled(3, Firing)}, {labelled(1, Firing)}, {labelled(2, Resolved)},
		{labelled(4, Firing)}} {
		if err := try(alerts...); err != nil {
			t.Errorf("%v: %v", alerts, err)
		}
	}
	small := NewStore(Limits{Bytes: 100})
	if err := newDraft(small, t0).takeAll(small, []Alert{labelled(1, Firing)}); !errors.Is(err, ErrFull) {
		t.Errorf("alerts that are larger than the room: %v", err)
	}
}

func TestWhatIsOverIsRememberedUpToANumber(t *testing.T) {
	b := NewStore(Limits{Firing: 100})
	for n := range 1000 {
		d := newDraft(b, t0.Add(time.Duration(n)*time.Second))
		d.take(labelled(n, Resolved))
		b.put(d.changed)
	}
	if _, over := b.Counts(); over > 100 || over < 80 {
		t.Errorf("%d are remembered, want at most 100", over)
	}
	if _, known := b.State(labelled(999, Resolved).Key()); !known {
		t.Error("the newest is forgotten before the oldest")
	}
}
