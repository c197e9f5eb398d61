package notify

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/responder"
)

// slackTexts are the fallback line and all that the blocks show.
func slackTexts(i incident.Incident, quick about) (text, body string) {
	text, blocks := slackMessage(i, quick, true, time.Now())
	b, err := json.Marshal(blocks)
	if err != nil {
		return text, err.Error()
	}
	var shown []string
	var any any
	_ = json.Unmarshal(b, &any)
	collect(any, &shown)
	return text, strings.Join(shown, "\n")
}

// collect gathers the texts of blocks.
func collect(v any, all *[]string) {
	switch x := v.(type) {
	case []any:
		for _, e := range x {
			collect(e, all)
		}
	case map[string]any:
		if s, ok := x["text"].(string); ok {
			*all = append(*all, s)
		}
		for _, e := range x {
			collect(e, all)
		}
	}
}

// slackShown is each text of a message and of its thread, within Slack's limits.
func slackShown(t *testing.T, i incident.Incident) []string {
	t.Helper()
	line, blocks := slackMessage(i, about{}, true, time.Now())
	b, err := json.Marshal(blocks)
	if err != nil {
		t.Fatal(err)
	}
	if n := utf8.RuneCountInString(line); n > 300 || strings.ContainsAny(line, "\r\n") {
		t.Fatalf("a line of %d characters: %q", n, line)
	}
	if len(blocks) > 50 {
		t.Fatalf("%d blocks", len(blocks))
	}
	shown := []string{line}
	var any any
	_ = json.Unmarshal(b, &any)
	collect(any, &shown)
	thread, told := slackThread(i, 0)
	if told != i.Dropped+len(i.Timeline) {
		t.Fatalf("told %d", told)
	}
	if thread != "" {
		shown = append(shown, thread)
	}
	for _, s := range shown {
		if utf8.RuneCountInString(s) > 3000 {
			t.Fatalf("a text of %d characters", utf8.RuneCountInString(s))
		}
	}
	return shown
}

func asks() incident.Incident {
	i := trouble()
	i.Paged, i.PageReason = true, "approval is needed"
	i.Asked = &incident.Request{Op: "op1", Until: t0.Add(time.Hour), Quorum: 1, Plan: incident.Plan{Action: "rollback", Summary: "roll back shop <!channel>", Hash: strings.Repeat("3f9a", 8), Object: incident.Object{Resource: "deployments", Namespace: "shop-prod", Name: "shop"}, Price: 3}}
	return i
}

// buttons are the verbs of a message's buttons, each with what it carries.
func buttons(t *testing.T, i incident.Incident, on bool) map[responder.Action]responder.Button {
	t.Helper()
	_, blocks := slackMessage(i, about{}, on, time.Now())
	b, err := json.Marshal(blocks)
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Elements []struct {
			ActionID string `json:"action_id"`
			Value    string `json:"value"`
			Confirm  *struct {
				Text struct{ Text string }
			}
		}
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	found := map[responder.Action]responder.Button{}
	for _, b := range all {
		for _, e := range b.Elements {
			if e.ActionID == "" {
				continue
			}
			x, ok := responder.ParseButton(e.ActionID, e.Value)
			if !ok {
				t.Fatalf("%s %s is not understood", e.ActionID, e.Value)
			}
			if x.Action == responder.Approve && (e.Confirm == nil || !strings.Contains(e.Confirm.Text.Text, "roll back shop &lt;!channel&gt;")) {
				t.Errorf("approved without the plan being shown: %+v", e)
			}
			found[x.Action] = x
		}
	}
	return found
}

func TestOnlyTheButtonsThatMakeSense(t *testing.T) {
	acked, held := asks(), trouble()
	acked.Acked = incident.Attribution{By: "alice", At: t0}
	held.Phase = incident.Suppressed
	for _, tt := range []struct {
		name string
		inc  incident.Incident
		on   bool
		want []responder.Action
	}{
		{"open", trouble(), true, []responder.Action{responder.Ack, responder.Hold, responder.Why}},
		{"asked", asks(), true, []responder.Action{responder.Ack, responder.Approve, responder.Deny, responder.Hold, responder.Why}},
		{"asked and taken on", acked, true, []responder.Action{responder.Approve, responder.Deny, responder.Hold, responder.Why}},
		{"on hold", held, true, []responder.Action{responder.Ack, responder.Why}},
		{"over", over(trouble()), true, nil},
		{"nobody hears them", asks(), false, nil},
	} {
		found := buttons(t, tt.inc, tt.on)
		var got []responder.Action
		for v := range found {
			got = append(got, v)
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if b, ok := found[responder.Approve]; ok && (b.Op != "op1" || b.Plan != tt.inc.Asked.Plan.Hash || b.Incident != "01inc") {
			t.Errorf("%s: a yes to %+v", tt.name, b)
		}
	}
}

// newChat is a Slack notifier before a recorder.
func newChat(t *testing.T) (*recorders.Recorder, *chat) {
	t.Helper()
	rec := recorders.New(recorders.Options{})
	srv := httptest.NewServer(rec)
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("xoxb-1"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := newSlack(&config.Slack{URL: srv.URL + "/slack/api", TokenFile: file, Channel: "#x", Severities: []incident.Severity{incident.P1}, Interaction: &config.SlackInteraction{}}, about{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return rec, n
}

func TestTheTimelineIsAThreadToldOnce(t *testing.T) {
	rec, n := newChat(t)
	i := asks()
	r := tell(t, n, i, incident.Receipt{})
	more := func(kind incident.Kind) {
		i.Timeline = append(i.Timeline, incident.Entry{At: t0, Kind: kind, Text: "text of " + string(kind) + " <!channel>"})
	}
	more("asked")
	more("held")
	if r = tell(t, n, i, r); r.Told != 3 {
		t.Errorf("%+v", r)
	}
	// The next one waits, grows together with what follows, and says so in its receipt.
	more("acknowledged")
	i.Acked = incident.Attribution{By: "alice", At: t0}
	waits, err := n.Notify(t.Context(), i, r)
	var f *Failure
	if !errors.As(err, &f) || f.After <= 0 || f.After > time.Second || f.Final || !f.Told || waits.Told != 3 || waits.Digest == r.Digest {
		t.Fatalf("%+v, %v", waits, err)
	}
	more("approved")
	n.repliedAt = time.Now().Add(-time.Second)
	r = tell(t, n, i, waits)
	if again := tell(t, n, i, r); again != r {
		t.Errorf("told twice: %+v", again)
	}
	var told []string
	for _, q := range rec.Snapshot().Of(recorders.Slack) {
		told = append(told, q.Action)
		if strings.Contains(string(q.Body), "<!channel") {
			t.Errorf("markup: %s", q.Body)
		}
		if q.Action == "reply" && (strings.Contains(string(q.Body), "firing") || strings.Contains(string(q.Body), "held")) {
			t.Errorf("told before, or of no use: %s", q.Body)
		}
	}
	if want := []string{"post", "reply", "update", "reply"}; !slices.Equal(told, want) {
		t.Errorf("%v, want %v", told, want)
	}
	// Another process with the receipt goes on where this one ended.
	other := &chat{url: n.url, token: n.token, channel: n.channel, takes: n.takes, buttons: true, now: time.Now}
	if again := tell(t, other, i, r); again != r {
		t.Errorf("told again after a restart: %+v", again)
	}
}

// halting tells the message, and its thread at the third try.
type halting struct{ refs []string }

func (*halting) Name() string { return "halting" }

func (h *halting) Notify(_ context.Context, _ incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	h.refs = append(h.refs, prev.Ref)
	now := incident.Receipt{Ref: "C1/1", Digest: "d"}
	if len(h.refs) < 3 {
		return now, &Failure{Err: errors.New("later"), After: time.Second}
	}
	now.Told = 1
	return now, nil
}

// What was told before the thread failed is not told again: the outbox keeps it.
func TestAThreadThatFailsDoesNotRepeatTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &halting{}
		var kept []incident.Receipt
		x, err := NewOutbox(OutboxOptions{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Delivered: func(_, _ string, r incident.Receipt) { kept = append(kept, r) }})
		if err != nil {
			t.Fatal(err)
		}
		x.Replace([]Notifier{n})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- x.Run(ctx) }()
		x.Tell(trouble())
		time.Sleep(3 * time.Second)
		stop()
		<-ended
		if !slices.Equal(n.refs, []string{"", "C1/1", "C1/1"}) {
			t.Errorf("called with %q", n.refs)
		}
		if len(kept) < 2 || kept[0].Ref != "C1/1" || kept[len(kept)-1].Told != 1 {
			t.Errorf("kept %+v", kept)
		}
	})
}

// Whoever stands in for a receiver is not told because a thread waits for its turn.
func TestAThreadThatWaitsIsNoReasonForTheFallback(t *testing.T) {
	for name, f := range map[string]Failure{"waits": {After: time.Second, Told: true}, "is refused": {Final: true, Told: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good := &waiting{f: f}
				spare := standIn{fake: &fake{name: "spare"}}
				x := outbox(t, t.TempDir(), nil, good, spare)
				stop := running(t, x)
				x.Tell(trouble())
				time.Sleep(5 * time.Minute)
				if n := spare.count(); n != 0 {
					t.Errorf("the fallback was told %d times", n)
				}
				stop()
			})
		})
	}
}

// waiting tells the incident and never its thread.
type waiting struct{ f Failure }

func (*waiting) Name() string { return "primary" }

func (w *waiting) Notify(_ context.Context, _ incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	f := w.f
	f.Err = errors.New("the thread has to wait")
	return incident.Receipt{Ref: "C1/1", Digest: "d"}, &f
}

// An acknowledgement that came from PagerDuty is not told to PagerDuty.
func TestPagerDutyIsNotToldWhatItSaid(t *testing.T) {
	rec, ns := sides(t)
	for _, n := range ns {
		if n.Name() != "pagerduty" {
			continue
		}
		i := trouble()
		r := tell(t, n, i, incident.Receipt{})
		i.Acked = incident.Attribution{By: "alice", At: t0, Source: "pagerduty"}
		r = tell(t, n, i, r)
		if again := tell(t, n, i, r); again != r || r.State != "acknowledged" {
			t.Errorf("%+v, then %+v", r, again)
		}
		tell(t, n, over(i), r)
	}
	var told []string
	for _, q := range rec.Snapshot().Requests {
		told = append(told, q.Action)
	}
	if want := []string{"trigger", "resolve"}; !slices.Equal(told, want) {
		t.Errorf("%v, want %v", told, want)
	}
}

// A message that somebody deleted cannot be edited: what comes then is a new message,
// and not lost. Nobody needs one for the end alone.
func TestAMessageThatIsGoneIsPostedAnew(t *testing.T) {
	rec, ns := sides(t)
	var s Notifier
	for _, n := range ns {
		if n.Name() == "slack" {
			s = n
		}
	}
	i := trouble()
	first := tell(t, s, i, incident.Receipt{})
	channel, _, _ := strings.Cut(first.Ref, "/")
	gone := first
	gone.Ref = channel + "/1.000001"
	i.Paged, i.PageReason, i.Phase = true, "the ladder says page", incident.Escalated
	i.Timeline = append(i.Timeline, incident.Entry{At: t0.Add(time.Minute), Kind: "paged", Text: "the ladder says page"})
	again := tell(t, s, i, gone)
	posts := 0
	for _, q := range rec.Requests(recorders.Slack) {
		if q.Action == "post" {
			posts++
		}
	}
	if posts != 2 || again.Ref == gone.Ref || again.Ref == first.Ref || again.Told != len(i.Timeline) || again.State != "needs a person" {
		t.Errorf("%d posts, receipt %+v", posts, again)
	}
	if end := tell(t, s, over(i), gone); end.State != "resolved" || len(rec.Requests(recorders.Slack)) != 2 {
		t.Errorf("the end: %+v, %d requests", end, len(rec.Requests(recorders.Slack)))
	}
}
