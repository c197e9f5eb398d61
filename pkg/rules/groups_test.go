package rules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"watchdog.io/watchdog/pkg/promql"
	"watchdog.io/watchdog/pkg/storage"
)

// bench is one set of groups over a store, with a clock of its own.
type bench struct {
	t      *testing.T
	now    time.Time
	store  *storage.Store
	groups *Manager
	fail   error // what every question answers
}

// newBench loads a rule file; its groups are evaluated every 15s.
func newBench(t *testing.T, file string) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	b.store = storeAt(&b.now, storage.Options{})
	local := promql.NewLocal(b.store, promql.LocalOptions{})
	groups, err := NewManager(Options{
		Local: func(ctx context.Context, expr string, at time.Time) ([]promql.Point, error) {
			if b.fail != nil {
				return nil, b.fail
			}
			return local(ctx, expr, at)
		},
		Append: b.store.Append, Now: func() time.Time { return b.now }, Target: byLabel, Staleness: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.groups = groups
	b.load(file)
	return b
}

func (b *bench) load(file string) {
	b.t.Helper()
	parsed, err := ParseFile("test.yaml", []byte(file), Local)
	if err != nil {
		b.t.Fatal(err)
	}
	b.use(parsed)
}

func (b *bench) use(parsed []Group) {
	b.t.Helper()
	if _, err := b.groups.Update(Config{Groups: parsed}); err != nil {
		b.t.Fatal(err)
	}
}

// step moves the clock by 15s, takes the samples and evaluates.
func (b *bench) step(samples ...*model.Sample) []string {
	b.now = b.now.Add(15 * time.Second)
	for _, s := range samples {
		s.Timestamp = model.TimeFromUnixNano(b.now.UnixNano())
	}
	b.store.Append(samples)
	return b.groups.EvalGroups(b.t.Context(), b.now)
}

func (b *bench) want(target, rule string, state AlertState, verdict Verdict) Alert {
	b.t.Helper()
	for _, a := range b.groups.AlertsOf(target) {
		if a.Rule == rule {
			if a.State != state || a.Verdict != verdict {
				b.t.Fatalf("%s: %s on %s is %s and %s (%s), want %s and %s", b.now.Format(time.TimeOnly), rule, target,
					a.State, a.Verdict, a.Reason, state, verdict)
			}
			return a
		}
	}
	b.t.Fatalf("%s: there is no alert %s on %s", b.now.Format(time.TimeOnly), rule, target)
	return Alert{}
}

func queue(target string, v float64, pairs ...string) *model.Sample {
	return one(time.Time{}, v, "queue_length", append([]string{"target", target}, pairs...)...)
}

const queueFile = `
groups:
  - name: queue
    labels: {team: shop}
    rules:
      - alert: QueueTooLong
        expr: queue_length > 100
        for: 30s
        labels: {severity: warning}
        annotations: {summary: 'queue of {{ $labels.target }} holds {{ $value }}'}
`

func TestAnAlertOfARuleFileFiresAndEnds(t *testing.T) {
	b := newBench(t, queueFile)
	b.step(queue("shop", 20))
	if all := b.groups.Alerts(); len(all) != 0 {
		t.Fatalf("alerts without a cause: %v", all)
	}
	b.step(queue("shop", 120))
	b.want("shop", "QueueTooLong", Pending, Breach)
	b.step(queue("shop", 130))
	b.want("shop", "QueueTooLong", Pending, Breach)
	told := b.step(queue("shop", 140))
	a := b.want("shop", "QueueTooLong", Firing, Breach)
	if a.Reason != "queue of shop holds 140 (value 140)" || a.Bound != 100 || !a.Above || a.Labels["team"] != "shop" ||
		a.Labels["severity"] != "warning" || len(told) != 1 {
		t.Errorf("%+v, told of %v", a, told)
	}
	b.step(queue("shop", 90))
	if a := b.want("shop", "QueueTooLong", Inactive, OK); a.Value != 90 {
		t.Errorf("after its end the value is %v, want 90", a.Value)
	}
	for range 62 {
		b.step(queue("shop", 90))
	}
	if all := b.groups.Alerts(); len(all) != 0 {
		t.Errorf("an alert is shown a quarter of an hour after its end: %v", all)
	}
}

// Data that ends is no recovery, neither as a stop nor as an end marked in the data.
func TestSilenceIsNoRecovery_INV10(t *testing.T) {
	for name, end := range map[string][]*model.Sample{"stop": nil, "end": {queue("shop", staleMark())}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, queueFile)
			for range 4 {
				b.step(queue("shop", 120))
			}
			b.step(end...)
			for range 40 {
				b.step()
			}
			a := b.want("shop", "QueueTooLong", Firing, NoData)
			if !strings.Contains(a.Reason, "no data for queue_length") {
				t.Errorf("the reason is %q", a.Reason)
			}
			b.step(queue("shop", 90))
			b.want("shop", "QueueTooLong", Inactive, OK)
		})
	}
}

func staleMark() float64 {
	return float64(storage.StaleMarkers(map[uint64]labels.Labels{0: labels.FromStrings("__name__", "x")},
		time.Time{})[0].Value)
}

// A pod that is replaced takes its series with it; the target's other pods go on.
func TestTheEndOfOneSeriesAmongOthersIsAnEnd(t *testing.T) {
	b := newBench(t, queueFile)
	for range 4 {
		b.step(queue("shop", 120, "pod", "a"), queue("shop", 20, "pod", "b"))
	}
	b.want("shop", "QueueTooLong", Firing, Breach)
	b.step(queue("shop", staleMark(), "pod", "a"), queue("shop", 20, "pod", "b"), queue("shop", 10, "pod", "c"))
	b.want("shop", "QueueTooLong", Inactive, OK)
}

// What Prometheus still shows for five minutes is too old to act upon.
func TestOldSamplesAreStale_INV09(t *testing.T) {
	b := newBench(t, queueFile)
	for range 4 {
		b.step(queue("shop", 120))
	}
	for range 5 {
		b.step()
	}
	if a := b.want("shop", "QueueTooLong", Firing, Stale); !strings.Contains(a.Reason, "1m15s old, limit 1m0s") {
		t.Errorf("the reason is %q", a.Reason)
	}
	now, err := b.groups.EvalNow(t.Context(), "shop")
	if err != nil || len(now) != 1 || now[0].Verdict != Stale {
		t.Errorf("the look before an act says %+v, %v", now, err)
	}
}

func TestAFailingQuestionChangesNothingButTheVerdict(t *testing.T) {
	b := newBench(t, queueFile)
	for range 4 {
		b.step(queue("shop", 120))
	}
	b.fail = errors.Join(promql.ErrSource, errors.New("connection refused"))
	b.step()
	b.want("shop", "QueueTooLong", Firing, Error)
	if blind, why := b.groups.Blind(); !blind || !strings.Contains(why, "connection refused") {
		t.Errorf("blind: %v, %q", blind, why)
	}
	b.fail = nil
	b.step(queue("shop", 120))
	b.want("shop", "QueueTooLong", Firing, Breach)
	if blind, _ := b.groups.Blind(); blind {
		t.Error("still blind")
	}
}

// After a restart an alert that fired fires, without waiting for `for` again, and
// nothing that was not seen ends it.
func TestARestartIsNoRecoveryOfARuleFilesAlert(t *testing.T) {
	b := newBench(t, queueFile)
	fired := b.now.Add(-time.Hour)
	b.groups.Restore([]Alert{{Rule: "QueueTooLong", Target: "shop", State: Firing, ActiveAt: fired, FiredAt: fired}})
	b.want("shop", "QueueTooLong", Firing, NoData)
	b.step()
	b.want("shop", "QueueTooLong", Firing, NoData)
	b.step(queue("shop", 120))
	if a := b.want("shop", "QueueTooLong", Firing, Breach); !a.ActiveAt.Equal(fired) {
		t.Errorf("active since %s, want %s", a.ActiveAt, fired)
	}
	b.step(queue("shop", 20))
	b.want("shop", "QueueTooLong", Inactive, OK)
}

func TestAReloadGoesOn(t *testing.T) {
	b := newBench(t, queueFile)
	for range 4 {
		b.step(queue("shop", 120))
	}
	b.load(strings.Replace(queueFile, "> 100", "> 110", 1))
	b.want("shop", "QueueTooLong", Firing, Breach)
	parsed, err := ParseFile("test.yaml", []byte(strings.ReplaceAll(queueFile, "QueueTooLong", "Other")), Local)
	if err != nil {
		t.Fatal(err)
	}
	removed, err := b.groups.Update(Config{Groups: parsed})
	if err != nil || len(removed) != 1 || removed[0].Rule != "QueueTooLong" {
		t.Errorf("removed %v, %v", removed, err)
	}
}

// A recorded series that comes and goes by its own condition says nothing of the
// data behind it.
func TestRecordedSeriesAreFollowedToTheirSource(t *testing.T) {
	b := newBench(t, `
groups:
  - name: queue
    rules:
      - {record: "long_queue", expr: "queue_length > 100"}
      - {alert: Long, expr: "long_queue > 1"}
`)
	b.step(queue("shop", 120))
	b.want("shop", "Long", Firing, Breach)
	b.step(queue("shop", 20))
	b.want("shop", "Long", Inactive, OK)
	b.step(queue("shop", 120))
	b.want("shop", "Long", Firing, Breach)
	b.step(queue("shop", staleMark()))
	b.want("shop", "Long", Firing, NoData)
}

func TestTheLookBeforeAnActMovesNothing(t *testing.T) {
	b := newBench(t, queueFile)
	for range 4 {
		b.step(queue("shop", 120))
	}
	b.now = b.now.Add(5 * time.Second)
	b.store.Append([]*model.Sample{one(b.now, 20, "queue_length", "target", "shop")})
	now, err := b.groups.EvalNow(t.Context(), "shop")
	if err != nil || len(now) != 1 || now[0].Verdict != OK || now[0].State != Firing || now[0].Value != 20 {
		t.Errorf("the look says %+v, %v", now, err)
	}
	b.want("shop", "QueueTooLong", Firing, Breach)
}

// Without errors there is no series of errors: that is no blindness while the
// metric counts other requests of the target.
func TestNoErrorsIsARecovery(t *testing.T) {
	b := newBench(t, `
groups:
  - name: errors
    rules:
      - {alert: Errors, expr: 'sum by (target) (rate(requests_total{code=~"5.."}[1m])) / sum by (target) (rate(requests_total[1m])) > 0.1'}
`)
	n := 0.0
	requests := func(failing bool) {
		n += 100
		samples := []*model.Sample{one(b.now, n, "requests_total", "target", "shop", "pod", "new", "code", "200")}
		if failing {
			samples = append(samples, one(b.now, n, "requests_total", "target", "shop", "pod", "old", "code", "500"))
		}
		b.step(samples...)
	}
	for range 4 {
		requests(true)
	}
	b.want("shop", "Errors", Firing, Breach)
	b.step(one(b.now, staleMark(), "requests_total", "target", "shop", "pod", "old", "code", "500"))
	for range 30 {
		requests(false)
	}
	b.want("shop", "Errors", Inactive, OK)
}

// A silence must cover every alert of a name: each one's labels are there.
func TestTheLabelsOfAllThatFiresAreKnown(t *testing.T) {
	b := newBench(t, queueFile+`
      - alert: QueueTooLong
        expr: queue_length > 200
        labels: {severity: critical}
`)
	for range 4 {
		b.step(queue("shop", 120, "queue", "a"), queue("shop", 250, "queue", "b"), queue("shop", 20, "queue", "c"))
	}
	for name, want := range map[string]string{"QueueTooLong": "map[a warning:1 b warning:1]",
		"QueueTooLong (critical)": "map[b critical:1]"} {
		a := b.want("shop", name, Firing, Breach)
		got := map[string]int{}
		for _, set := range append(a.Others, labels.FromMap(a.Labels)) {
			got[set.Get("queue")+" "+set.Get("severity")]++
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestTwoRulesOfOneNameAreTwoAlerts_X70: each has its severity and its ladder. As one
// alert the warning, which fires first, would hide the critical one.
func TestTwoRulesOfOneNameAreTwoAlerts_X70(t *testing.T) {
	const file = queueFile + `
      - alert: QueueTooLong
        expr: queue_length > 200
        labels: {severity: critical}
      - alert: QueueTooLong
        expr: queue_length > 300
        labels: {severity: critical, team: other}
`
	b := newBench(t, file)
	for range 4 {
		b.step(queue("shop", 120, "queue", "a"))
	}
	b.want("shop", "QueueTooLong", Firing, Breach)
	for range 4 {
		b.step(queue("shop", 350, "queue", "a"))
	}
	var got []string
	for _, a := range b.groups.AlertsOf("shop") {
		got = append(got, a.Rule+" "+a.Labels["severity"]+" "+a.Labels["alertname"]+" "+string(a.State))
	}
	if want := "[QueueTooLong warning QueueTooLong firing QueueTooLong (critical) critical QueueTooLong firing]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	// After a restart each goes on as what it was.
	next := newBench(t, file)
	next.groups.Restore(b.groups.AlertsOf("shop"))
	for _, name := range []string{"QueueTooLong", "QueueTooLong (critical)"} {
		next.want("shop", name, Firing, NoData)
	}
}
