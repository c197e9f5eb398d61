package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

var t0 = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func trouble() incident.Incident {
	i := incident.New("01inc", incident.Target{Name: "shop", Namespace: "shop-prod", Kind: "deployment", Workload: "shop"}, t0)
	i.Severity, i.Lead = incident.P1, "error_rate"
	i.Alerts = []incident.Alert{{Rule: "error_rate", Severity: incident.P1, Firing: true, Verdict: incident.Breach, Was: "error rate 31% > 5% for 10s", Reason: "error rate 33% > 5%"}}
	i.Timeline = []incident.Entry{{At: t0, Kind: "firing", Text: "error_rate: error rate 31% > 5% for 10s"}}
	return i
}

func over(i incident.Incident) incident.Incident {
	i.Phase, i.ResolvedAt = incident.Resolved, t0.Add(time.Minute)
	i.Timeline = append(i.Timeline, incident.Entry{At: i.ResolvedAt, Kind: "resolved", Text: "no rule fires any more"})
	return i
}

// sides starts the three receivers and returns the notifiers for them.
func sides(t *testing.T) (*recorders.Recorder, []Notifier) {
	t.Helper()
	rec := recorders.New(recorders.Options{})
	srv := httptest.NewServer(rec)
	t.Cleanup(srv.Close)
	secret := func(text string) string {
		f := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(f, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	all := []incident.Severity{incident.P0, incident.P1}
	ns, err := FromConfig(&config.Config{Receivers: config.Receivers{
		PagerDuty:  &config.PagerDuty{URL: srv.URL + "/pagerduty", RoutingKeyFile: secret(strings.Repeat("k", 32)), Severities: all},
		Slack:      &config.Slack{URL: srv.URL + "/slack/api/", TokenFile: secret("xoxb-1"), Channel: "#incidents", Severities: all},
		Statuspage: &config.Statuspage{URL: srv.URL + "/statuspage", PageID: "p1", TokenFile: secret("sp"), Publish: "auto", Severities: all},
	}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range ns {
		if s, ok := n.(*statusPage); ok {
			s.pace.limit.SetLimit(rate.Inf)
		}
	}
	return rec, ns
}

func tell(t *testing.T, n Notifier, i incident.Incident, prev incident.Receipt) incident.Receipt {
	t.Helper()
	r, err := n.Notify(t.Context(), i, prev)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOneIncidentEverywhereFromBeginningToEnd_INV42(t *testing.T) {
	rec, ns := sides(t)
	for _, n := range ns {
		i := trouble()
		r := tell(t, n, i, incident.Receipt{})
		if again := tell(t, n, i, r); again != r {
			t.Errorf("%s: told twice of the same", n.Name())
		}
		helped := i
		helped.Attempts = []incident.Attempt{{Action: "rollback", Summary: "roll back", Verdict: incident.Helped, EndedAt: t0}}
		helped.Phase = incident.Verifying
		r = tell(t, n, helped, r)
		r = tell(t, n, over(helped), r)
		if again := tell(t, n, over(helped), r); again != r {
			t.Errorf("%s: told twice of the end", n.Name())
		}
	}
	for name, side := range map[string]map[string]recorders.Incident{"PagerDuty": rec.PagerDutyIncidents(), "status page": rec.StatuspageIncidents()} {
		if len(side) != 1 {
			t.Errorf("%s has %d incidents", name, len(side))
		}
		for _, x := range side {
			if x.State != "resolved" {
				t.Errorf("%s: %+v", name, x)
			}
		}
	}
	if m := rec.SlackMessages(); len(m) != 1 {
		t.Errorf("%d Slack messages", len(m))
	}
}

func TestASeverityThatIsNotTakenIsNotToldUnlessAPersonMustAct(t *testing.T) {
	rec, ns := sides(t)
	i := trouble()
	i.Severity = incident.P3
	for _, n := range ns {
		tell(t, n, i, incident.Receipt{})
	}
	if n := len(rec.Snapshot().Requests); n != 0 {
		t.Fatalf("%d messages", n)
	}
	i.Paged, i.PageReason = true, "the ladder is exhausted"
	for _, n := range ns {
		tell(t, n, i, incident.Receipt{})
	}
	if len(rec.PagerDutyIncidents()) != 1 || len(rec.SlackMessages()) != 1 || len(rec.StatuspageIncidents()) != 0 {
		t.Errorf("%+v", rec.Snapshot().Requests)
	}
}

func TestThePublicReadsNoInternalName_INV44(t *testing.T) {
	rec, ns := sides(t)
	i := trouble()
	i.Target.Name = "<!channel> CANARY"
	for _, n := range ns {
		if n.Name() == "statuspage" {
			r := tell(t, n, i, incident.Receipt{})
			tell(t, n, over(i), r)
		}
	}
	for _, q := range rec.Snapshot().Requests {
		for _, word := range []string{"CANARY", "shop", "error_rate", "v2."} {
			if strings.Contains(string(q.Body), word) {
				t.Errorf("published %q: %s", word, q.Body)
			}
		}
	}
}

func TestUnconfirmedTroubleIsNotPublished_INV44(t *testing.T) {
	rec, ns := sides(t)
	i := trouble()
	i.Phase = incident.Frozen
	for _, n := range ns {
		if n.Name() == "statuspage" {
			tell(t, n, i, incident.Receipt{})
			// Nor is what has not lasted.
			n.(*statusPage).damping.HoldDown = time.Second
			fresh := trouble()
			fresh.OpenedAt = time.Now()
			var f *Failure
			if _, err := n.Notify(t.Context(), fresh, incident.Receipt{}); !errors.As(err, &f) || f.After <= 0 || f.Final {
				t.Errorf("%v", err)
			}
		}
	}
	if n := len(rec.Snapshot().Requests); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestSlackTextMentionsNobody_SEC20(t *testing.T) {
	i := trouble()
	i.Alerts[0].Was = "<!channel> @here <http://evil|click> & more\x1b[0m"
	text, body := slackTexts(i, about{})
	for _, bad := range []string{"<!channel>", "@here", "<http", "\x1b"} {
		if strings.Contains(text+body, bad) {
			t.Errorf("%q in %q", bad, body)
		}
	}
}

func TestAQuietIncidentIsNotEdited(t *testing.T) {
	rec, ns := sides(t)
	i := trouble()
	for _, n := range ns {
		r := tell(t, n, i, incident.Receipt{})
		i.Alerts[0].Reason, i.UpdatedAt = "error rate 35% > 5%", t0.Add(time.Hour)
		tell(t, n, i, r)
	}
	if n := len(rec.Snapshot().Requests); n != 3 {
		t.Errorf("%d messages for one state", n)
	}
}

// A Secret that is gone must not end all watching at the next restart; pkg/app tells of it.
func TestAMissingSecretIsAnErrorAtEachUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	cfg := &config.Config{Receivers: config.Receivers{Slack: &config.Slack{TokenFile: file, Channel: "#a"}}}
	if _, err := FromConfig(cfg, time.Now); err != nil {
		t.Fatal(err)
	}
	secret, err := NewSecret(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secret.read(); err == nil || !strings.Contains(err.Error(), "secret file "+file+": file does not exist; is the Secret there, with this key?") {
		t.Error(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FromConfig(cfg, time.Now); err == nil || !strings.Contains(err.Error(), "receiver slack: secret file "+file+" is empty") {
		t.Errorf("an empty one is no error at start: %v", err)
	}
}

func TestSecretsPrintAsRedacted_SEC21(t *testing.T) {
	s := Secret{file: "/f"}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%s", s), s.String()} {
		if text != "<redacted>" {
			t.Errorf("%q", text)
		}
	}
	if b, _ := json.Marshal(s); strings.Contains(string(b), "/f") {
		t.Errorf("%s", b)
	}
}

func TestEachWayOfFailingIsToldApart(t *testing.T) {
	rec, ns := sides(t)
	for _, n := range ns {
		for mode, final := range map[recorders.Mode]bool{recorders.Limited: false, recorders.Broken: false, recorders.Reset: false, recorders.Applied500: false} {
			rec.Set(n.Name(), mode)
			_, err := n.Notify(t.Context(), trouble(), incident.Receipt{})
			var f *Failure
			if err == nil || errors.As(err, &f) && f.Final != final {
				t.Errorf("%s %q: %v", n.Name(), mode, err)
			}
			rec.Set(n.Name(), recorders.OK)
		}
	}
	if n := len(rec.PagerDutyIncidents()); n != 1 {
		t.Errorf("%d incidents at PagerDuty after an answer was lost (F-91)", n)
	}
}

// fake is a receiver in memory, for the outbox.
type fake struct {
	name string
	do   func(context.Context, incident.Incident) error

	mu   sync.Mutex
	told []incident.Incident
}

var _ Notifier = (*fake)(nil)

func (f *fake) Name() string { return f.name }

func (f *fake) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	if f.do != nil {
		if err := f.do(ctx, i); err != nil {
			return prev, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, i)
	return incident.Receipt{Ref: "r", Digest: string(i.Phase)}, nil
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.told)
}

func outbox(t testing.TB, dir string, delivered func(string, string, incident.Receipt), ns ...Notifier) *Outbox {
	t.Helper()
	if delivered == nil {
		delivered = func(string, string, incident.Receipt) {}
	}
	x, err := NewOutbox(OutboxOptions{Dir: dir, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Delivered: delivered})
	if err != nil {
		t.Fatal(err)
	}
	x.Replace(ns)
	return x
}

// running runs the outbox until the returned function is called.
func running(t testing.TB, x *Outbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := x.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return func() { cancel(); <-done }
}

func TestAHungReceiverDelaysNobody_INV43(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := &fake{name: "hung", do: func(ctx context.Context, _ incident.Incident) error { <-ctx.Done(); return ctx.Err() }}
		good := &fake{name: "good"}
		x := outbox(t, t.TempDir(), nil, hung, good)
		stop := running(t, x)
		for n := range 100 {
			i := trouble()
			i.ID = fmt.Sprint(n)
			x.Tell(i)
		}
		synctest.Wait()
		if good.count() != 100 {
			t.Errorf("%d told", good.count())
		}
		start := time.Now()
		stop()
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("stopping took %s", took)
		}
	})
}

func TestOnlyTheNewestStateIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		f := &fake{name: "f", do: func(context.Context, incident.Incident) error {
			if down.Load() {
				return errors.New("down")
			}
			return nil
		}}
		x := outbox(t, t.TempDir(), nil, f)
		defer running(t, x)()
		i := trouble()
		for n := range 50 {
			i.UpdatedAt = t0.Add(time.Duration(n) * time.Second)
			x.Tell(i)
			time.Sleep(100 * time.Millisecond)
		}
		i = over(i)
		i.UpdatedAt = t0.Add(time.Hour)
		x.Tell(i)
		synctest.Wait()
		down.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if f.count() != 1 || f.told[0].Phase != incident.Resolved {
			t.Errorf("%d told", f.count())
		}
		if x.Pending()["f"] != 0 {
			t.Errorf("%v", x.Pending())
		}
	})
}

func TestTheOtherSideIsGivenTheTimeItAsksFor_F90(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Duration
		start := time.Now()
		f := &fake{name: "f", do: func(context.Context, incident.Incident) error {
			tries = append(tries, time.Since(start))
			if len(tries) == 1 {
				return &Failure{Err: errors.New("429"), After: 30 * time.Second}
			}
			return nil
		}}
		x := outbox(t, t.TempDir(), nil, f)
		defer running(t, x)()
		x.Tell(trouble())
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(tries) != 2 || tries[1] < 30*time.Second || tries[1] > 31*time.Second {
			t.Errorf("tries at %v", tries)
		}
	})
}

func TestARefusalIsNotRepeatedAndIsOnTheReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		f := &fake{name: "f", do: func(context.Context, incident.Incident) error {
			tries++
			return &Failure{Err: errors.New("channel_not_found"), Final: true}
		}}
		var got incident.Receipt
		x := outbox(t, t.TempDir(), func(_, _ string, r incident.Receipt) { got = r }, f)
		defer running(t, x)()
		x.Tell(trouble())
		time.Sleep(time.Hour)
		synctest.Wait()
		if tries != 1 || got.Error != "channel_not_found" {
			t.Errorf("%d tries, receipt %+v", tries, got)
		}
	})
}

func TestWhatWaitsSurvivesARestart_F34(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		down := &fake{name: "f", do: func(context.Context, incident.Incident) error { return errors.New("down") }}
		x := outbox(t, dir, nil, down)
		stop := running(t, x)
		x.Tell(trouble())
		time.Sleep(time.Second)
		stop()
		up := &fake{name: "f"}
		y := outbox(t, dir, nil, up)
		defer running(t, y)()
		time.Sleep(2 * time.Minute)
		if up.count() != 1 {
			t.Errorf("%d told after the restart", up.count())
		}
	})
}

func TestAReceiptFromAnotherReplicaIsBelieved(t *testing.T) {
	rec, ns := sides(t)
	i := trouble()
	receipts := map[string]incident.Receipt{}
	for range 2 { // the second time Slack hears of what the others were told
		for _, n := range ns {
			r := tell(t, n, i, receipts[n.Name()])
			r.At = t0
			receipts[n.Name()] = r
		}
		i.Receipts = maps.Clone(receipts)
	}
	before := len(rec.Snapshot().Requests)
	got := make(chan struct{}, 8)
	x := outbox(t, t.TempDir(), func(string, string, incident.Receipt) { got <- struct{}{} }, ns...)
	stop := running(t, x)
	x.Tell(i)
	stop()
	if after := len(rec.Snapshot().Requests); after != before {
		t.Errorf("%d messages became %d: the successor told it all again", before, after)
	}
}

// While all that fires is silenced, no receiver hears of the beginning; once it has
// heard, it is kept up to date.
func TestWhatIsSilencedIsToldWhenTheSilenceEnds(t *testing.T) {
	hush := func(i incident.Incident, at time.Duration, by string) incident.Incident {
		i.Alerts = append([]incident.Alert(nil), i.Alerts...)
		i.Alerts[0].Silenced, i.UpdatedAt = by, t0.Add(at)
		return i
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "f"}
		dir := t.TempDir()
		x := outbox(t, dir, nil, f)
		stop := running(t, x)
		told := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			if f.count() != want || x.Pending()["f"] != 0 {
				t.Errorf("%s: told %d times, want %d; %d wait", when, f.count(), want, x.Pending()["f"])
			}
		}
		i := trouble()
		x.Tell(hush(i, 0, "silenced by a"))
		told(0, "silenced from the beginning")
		i.Paged = true
		x.Tell(hush(i, time.Minute, "silenced by a"))
		told(0, "a person must act, and it is silenced")
		stop()
		x = outbox(t, dir, nil, f)
		defer running(t, x)()
		told(0, "after a restart")
		x.Tell(hush(i, 2*time.Minute, ""))
		told(1, "the silence is over")
		x.Tell(hush(i, 3*time.Minute, "silenced by b"))
		told(2, "silenced after it was told")
		other := over(hush(i, 0, "silenced by a"))
		other.ID, other.Alerts[0].Firing = "other", false
		x.Tell(other)
		told(3, "resolved: the receiver itself says nothing of what it never heard of")
	})
}

func TestWhatIsToldUnderASilenceSaysSo(t *testing.T) {
	i := trouble()
	i.Phase = incident.Suppressed
	if got := next(i); !strings.Contains(got, "watchdog resume") {
		t.Errorf("held: %s", got)
	}
	i.Alerts = append(i.Alerts, incident.Alert{Rule: "cpu", Firing: true, Ended: true})
	i.Alerts[0].Silenced = "silenced by 0d1a"
	if got := next(i); got != "watchdog only watches: error_rate is silenced by 0d1a." {
		t.Error(got)
	}
}

func TestWhatWasNeverToldIsNotToldWhenItIsOver(t *testing.T) {
	rec, ns := sides(t)
	i := over(trouble())
	i.Alerts[0].Firing, i.Paged = false, true
	for _, n := range ns {
		tell(t, n, i, incident.Receipt{})
	}
	if n := len(rec.Snapshot().Requests); n != 0 {
		t.Errorf("%d messages about the end of what nobody heard of", n)
	}
}

func TestAnUnansweredIncidentIsToldAgainAndAnAcknowledgedOneIsPassedOn(t *testing.T) {
	rec, ns := sides(t)
	for _, n := range ns {
		if n.Name() == "statuspage" {
			continue // the public does not read who answers
		}
		i := trouble()
		i.AckBy = t0.Add(time.Hour)
		r := tell(t, n, i, incident.Receipt{})
		i.Unanswered = 1
		missed := tell(t, n, i, r)
		if missed.Digest == r.Digest {
			t.Errorf("%s: not told that nobody answered", n.Name())
		}
		i.Acked = incident.Attribution{By: "alice <!channel>", At: t0}
		taken := tell(t, n, i, missed)
		if again := tell(t, n, i, taken); again != taken || taken == missed {
			t.Errorf("%s: the acknowledgement was told %+v, then %+v", n.Name(), taken, again)
		}
		if r = tell(t, n, over(i), taken); n.Name() == "pagerduty" && (taken.State != "acknowledged" || r.State != "resolved") {
			t.Errorf("PagerDuty was told %s, then %s", taken.State, r.State)
		}
	}
	var told, shown []string
	if err := rec.WaitFor(t.Context(), func(s recorders.Snapshot) bool {
		for _, q := range s.Requests {
			if q.Receiver == recorders.PagerDuty {
				told = append(told, q.Action)
			}
			if q.Receiver == recorders.Slack {
				shown = append(shown, string(q.Body))
			}
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"trigger", "trigger", "acknowledge", "resolve"}; !slices.Equal(told, want) {
		t.Errorf("PagerDuty got %v, want %v", told, want)
	}
	for k, want := range []string{"To be acknowledged by 13:00:00 UTC, 1 Jan", "deadlines missed: 1", "acknowledged by alice", "acknowledged by alice"} {
		if k >= len(shown) || !strings.Contains(shown[k], want) || strings.Contains(shown[k], "<!channel>") {
			t.Errorf("message %d does not say %q; all are\n%s", k, want, strings.Join(shown, "\n"))
		}
	}
}
