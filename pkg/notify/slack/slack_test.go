package slack

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/responder"
)

func TestTheQuickReferenceInSlackHoldsWholeLinksOnly(t *testing.T) {
	long := notify.QuickReference{Contacts: []string{strings.Repeat("x", 5000)},
		Links: []config.Link{{Name: "a", URL: "https://a.example.com/" + strings.Repeat("a", 500)},
			{Name: "b", URL: "https://b.example.com/" + strings.Repeat("b", 500)}}}
	if quick := quickLines(long); len(quick) != 2 || len([]rune(quick[0])) > maxQuick ||
		!strings.HasSuffix(quick[1], "|a>") {
		t.Errorf("%q", quick)
	}
}

// An edit of a message notifies nobody: the channel is told anew, and once.
func TestSlackTellsTheChannelOfAGraverSeverity_X40(t *testing.T) {
	rec, s := slackSide(t)
	was, now := notifytest.Acknowledged()
	r := notifytest.Tell(t, s, was, notifytest.Tell(t, s, notifytest.Trouble(), incident.Receipt{}))
	s.repliedAt = time.Time{}
	r = notifytest.Tell(t, s, now, r)
	again := notifytest.Tell(t, s, now, r)
	if again != r {
		t.Errorf("told twice")
	}
	n := 0
	for _, q := range rec.Requests(recorders.Slack) {
		fields := map[string]string{}
		if err := json.Unmarshal(q.Body, &fields); err != nil {
			t.Fatal(err)
		}
		if fields["reply_broadcast"] == "true" {
			n++
			if text := fields["blocks"]; !strings.Contains(text, "This is P0 now") ||
				!strings.Contains(text, "watchdog ack 01inc") {
				t.Errorf("%s", text)
			}
		}
	}
	if n != 1 {
		t.Errorf("the channel was told %d times", n)
	}
}

func TestAMessageInSlackSaysThatItsTargetIsInMaintenance(t *testing.T) {
	_, body := slackTexts(notifytest.InMaintenance(), notify.QuickReference{})
	if !strings.Contains(body, "This is in maintenance until 2026-03-01 12:42 UTC, by &lt;alice&gt;: move") ||
		!strings.Contains(body, "watchdog takes no action during maintenance") {
		t.Errorf("Slack: %s", body)
	}
}

// slackSide is Slack alone.
func slackSide(t testing.TB) (*recorders.Recorder, *Slack) {
	t.Helper()
	rec, cfg := notifytest.Sides(t)
	s, err := New(cfg.Receivers.Slack, notify.QuickReference{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return rec, s
}

func TestSlackTextMentionsNobody_SEC20(t *testing.T) {
	i := notifytest.Trouble()
	i.Alerts[0].Was = "<!channel> @here <http://evil|click> & more\x1b[0m"
	text, body := slackTexts(i, notify.QuickReference{})
	for _, bad := range []string{"<!channel>", "@here", "<http", "\x1b"} {
		if strings.Contains(text+body, bad) {
			t.Errorf("%q in %q", bad, body)
		}
	}
}

// slackTexts are the fallback line and all that the blocks show.
func slackTexts(i incident.Incident, quick notify.QuickReference) (text, body string) {
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
	line, blocks := slackMessage(i, notify.QuickReference{}, true, time.Now())
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
	i := notifytest.Trouble()
	i.Paged, i.PageReason = true, "approval is needed"
	i.Asked = &incident.Request{Op: "op1", Until: notifytest.T0.Add(time.Hour), Quorum: 1,
		Plan: incident.Plan{Action: "rollback", Summary: "roll back shop <!channel>", Hash: strings.Repeat("3f9a", 8),
			Object: incident.Object{Resource: "deployments", Namespace: "shop-prod", Name: "shop"}, Price: 3}}
	return i
}

// buttons are the verbs of a message's buttons, each with what it carries.
func buttons(t *testing.T, i incident.Incident, on bool) map[responder.Action]responder.Button {
	t.Helper()
	_, blocks := slackMessage(i, notify.QuickReference{}, on, time.Now())
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
			if x.Action == responder.Approve && (e.Confirm == nil ||
				!strings.Contains(e.Confirm.Text.Text, "roll back shop &lt;!channel&gt;")) {
				t.Errorf("approved without the plan being shown: %+v", e)
			}
			found[x.Action] = x
		}
	}
	return found
}

func TestOnlyTheButtonsThatMakeSense(t *testing.T) {
	acked, held := asks(), notifytest.Trouble()
	acked.Acked = incident.Attribution{By: "alice", At: notifytest.T0}
	held.Phase = incident.Suppressed
	for _, tt := range []struct {
		name string
		inc  incident.Incident
		on   bool
		want []responder.Action
	}{
		{"open", notifytest.Trouble(), true, []responder.Action{responder.Ack, responder.Hold, responder.Why}},
		{"asked", asks(), true, []responder.Action{responder.Ack, responder.Approve, responder.Deny, responder.Hold,
			responder.Why}},
		{"asked and taken on", acked, true, []responder.Action{responder.Approve, responder.Deny, responder.Hold,
			responder.Why}},
		{"on hold", held, true, []responder.Action{responder.Ack, responder.Why}},
		{"over", notifytest.Over(notifytest.Trouble()), true, nil},
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
		if b, ok := found[responder.Approve]; ok && (b.Op != "op1" || b.Plan != tt.inc.Asked.Plan.Hash ||
			b.Incident != "01inc") {
			t.Errorf("%s: a yes to %+v", tt.name, b)
		}
	}
}

// newSlack is a Slack notifier before a recorder.
func newSlack(t *testing.T) (*recorders.Recorder, *Slack) {
	t.Helper()
	rec := recorders.New(recorders.Options{})
	srv := httptest.NewServer(rec)
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("xoxb-1"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := New(&config.Slack{URL: srv.URL + "/slack/api", TokenFile: file, Channel: "#x",
		Severities: []incident.Severity{incident.P1}, Interaction: &config.SlackInteraction{}}, notify.QuickReference{},
		time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return rec, n
}

func TestTheTimelineIsAThreadToldOnce(t *testing.T) {
	rec, n := newSlack(t)
	i := asks()
	r := notifytest.Tell(t, n, i, incident.Receipt{})
	more := func(kind incident.Kind) {
		i.Timeline = append(i.Timeline, incident.Entry{At: notifytest.T0, Kind: kind, Text: "text of " + string(kind) +
			" <!channel>"})
	}
	more("asked")
	more("held")
	if r = notifytest.Tell(t, n, i, r); r.Told != 3 {
		t.Errorf("%+v", r)
	}
	// The next one waits, grows together with what follows, and says so in its receipt.
	more("acknowledged")
	i.Acked = incident.Attribution{By: "alice", At: notifytest.T0}
	waits, err := n.Notify(t.Context(), i, r)
	var f *notify.Failure
	if !errors.As(err, &f) || f.After <= 0 || f.After > time.Second || f.Final || !f.Delivered || waits.Told != 3 ||
		waits.Digest == r.Digest {
		t.Fatalf("%+v, %v", waits, err)
	}
	more("approved")
	n.repliedAt = time.Now().Add(-time.Second)
	r = notifytest.Tell(t, n, i, waits)
	if again := notifytest.Tell(t, n, i, r); again != r {
		t.Errorf("told twice: %+v", again)
	}
	var told []string
	for _, q := range rec.Snapshot().Of(recorders.Slack) {
		told = append(told, q.Action)
		if strings.Contains(string(q.Body), "<!channel") {
			t.Errorf("markup: %s", q.Body)
		}
		if q.Action == "reply" && (strings.Contains(string(q.Body), "firing") ||
			strings.Contains(string(q.Body), "held")) {
			t.Errorf("told before, or of no use: %s", q.Body)
		}
	}
	if want := []string{"post", "reply", "update", "reply"}; !slices.Equal(told, want) {
		t.Errorf("%v, want %v", told, want)
	}
	// Another process with the receipt goes on where this one ended.
	other := &Slack{url: n.url, token: n.token, channel: n.channel, takes: n.takes, buttons: true, now: time.Now}
	if again := notifytest.Tell(t, other, i, r); again != r {
		t.Errorf("told again after a restart: %+v", again)
	}
}

// A message that somebody deleted cannot be edited: what comes then is a new message,
// and not lost. Nobody needs one for the end alone.
func TestAMessageThatIsGoneIsPostedAnew(t *testing.T) {
	rec, s := slackSide(t)
	i := notifytest.Trouble()
	first := notifytest.Tell(t, s, i, incident.Receipt{})
	channel, _, _ := strings.Cut(first.Ref, "/")
	gone := first
	gone.Ref = channel + "/1.000001"
	i.Paged, i.PageReason, i.Phase = true, "the ladder reached page", incident.Escalated
	i.Timeline = append(i.Timeline, incident.Entry{At: notifytest.T0.Add(time.Minute), Kind: "paged",
		Text: "the ladder reached page"})
	again := notifytest.Tell(t, s, i, gone)
	posts := 0
	for _, q := range rec.Requests(recorders.Slack) {
		if q.Action == "post" {
			posts++
		}
	}
	if posts != 2 || again.Ref == gone.Ref || again.Ref == first.Ref || again.Told != len(i.Timeline) ||
		again.State != "needs a person" {
		t.Errorf("%d posts, receipt %+v", posts, again)
	}
	if end := notifytest.Tell(t, s, notifytest.Over(i), gone); end.State != "resolved" ||
		len(rec.Requests(recorders.Slack)) != 2 {
		t.Errorf("the end: %+v, %d requests", end, len(rec.Requests(recorders.Slack)))
	}
}

func TestSlackShowsWhatIsProposedAndHowToSayYes(t *testing.T) {
	i := notifytest.Trouble()
	i.Receipts = map[string]incident.Receipt{incident.PublicReceiver: {State: "investigating", Proposed: true}}
	if _, body := slackTexts(i, notify.QuickReference{}); !strings.Contains(body,
		"\nStatus page: not posted; proposed: \"investigating\". Post it with `watchdog publish 01inc`\n") {
		t.Error(body)
	}
	i.Phase = incident.Resolved
	if _, body := slackTexts(i, notify.QuickReference{}); strings.Contains(body, "Status page") {
		t.Error(body)
	}
}

func TestAMessageInSlackSaysWhichObjectItIsAbout_X71(t *testing.T) {
	i := notifytest.Filling()
	_, blocks := slackMessage(i, notify.NewQuickReference(&config.Config{}).Of(i), true, time.Now())
	notifytest.SaysItsObject(t, notifytest.JSON(t, blocks))
	_, blocks = slackMessage(i, notify.QuickReference{}, true, time.Now())
	notifytest.SaysNoEmptyWorkload(t, blocks)
}
