package recorders_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty"
	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"watchdog.io/watchdog/internal/recorders"
)

// testRecorder is a recorder on loopback.
func testRecorder(t *testing.T, o recorders.Options) (*recorders.Recorder, string) {
	t.Helper()
	r := recorders.New(o)
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	return r, s.URL
}

// The vendors' clients, as pkg/notify makes them.
func slackAt(url, token string) *slack.Client {
	return slack.New(token, slack.OptionAPIURL(url+"/slack/api/"), slack.OptionHTTPClient(&http.Client{}))
}

func pagerDutyAt(url string) *pagerduty.Client {
	return pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(url+"/pagerduty"))
}

func event(action, key string) *pagerduty.V2Event {
	e := &pagerduty.V2Event{RoutingKey: strings.Repeat("0", 32), Action: action, DedupKey: key}
	if action == "trigger" {
		e.Payload = &pagerduty.V2Payload{Summary: "P1 errors on shop", Source: "shop", Severity: "error"}
	}
	return e
}

// send is a request as curl would make it.
func send(t *testing.T, method, url, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestASlackMessageIsPostedOnceAndEditedInPlace(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	api := slackAt(url, "xoxb-test")
	channel, stamp, err := api.PostMessageContext(t.Context(), "#incidents", slack.MsgOptionText("breach", false),
		slack.MsgOptionBlocks(slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, "*breach*", false,
			false), nil, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, text, err := api.UpdateMessageContext(t.Context(), channel, stamp,
		slack.MsgOptionText("resolved", false)); err != nil || text != "resolved" {
		t.Fatalf("update: %q, %v", text, err)
	}
	if _, _, err := api.PostMessageContext(t.Context(), "#incidents", slack.MsgOptionText("rolled back", false),
		slack.MsgOptionTS(stamp)); err != nil {
		t.Fatal(err)
	}
	want := map[string]recorders.Incident{stamp: {Key: stamp, State: "edited", Summary: "resolved", Updates: 2}}
	if diff := cmp.Diff(want, r.SlackMessages()); diff != "" {
		t.Error(diff)
	}
	all := r.Requests(recorders.Slack)
	if len(all) != 3 || all[2].Action != "reply" || !bytes.Contains(all[0].Body, []byte("breach")) ||
		!bytes.Contains(all[0].Body, []byte("blocks")) {
		t.Errorf("recorded %v", all)
	}
	if list, _ := json.Marshal(all); bytes.Contains(list, []byte("xoxb-")) {
		t.Errorf("the token is recorded: %s", list)
	}
}

func TestSlackInJSONIsTheSameAsInAForm(t *testing.T) {
	r, at := testRecorder(t, recorders.Options{})
	fields := url.Values{"channel": {"#incidents"}, "text": {"breach"}, "blocks": {`[{"type":"divider"}]`}}
	send(t, "POST", at+"/slack/api/chat.postMessage", fields.Encode(), "Authorization", "Bearer xoxb-1", "Content-Type",
		"application/x-www-form-urlencoded")
	send(t, "POST", at+"/slack/api/chat.postMessage",
		`{"channel":"#incidents","text":"breach","blocks":[{"type":"divider"}]}`, "Authorization", "Bearer xoxb-1",
		"Content-Type", "application/json; charset=utf-8")
	all := r.Requests(recorders.Slack)
	if len(all) != 2 || !bytes.Equal(all[0].Body, all[1].Body) {
		t.Errorf("recorded %s", all)
	}
}

func TestSlackRefusesWhatSlackRefuses(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	good := slackAt(url, "xoxb-test")
	text := slack.MsgOptionText("x", false)
	channel, stamp, err := good.PostMessageContext(t.Context(), "#incidents", text)
	if err != nil {
		t.Fatal(err)
	}
	post := func(api *slack.Client, channel string, o ...slack.MsgOption) error {
		_, _, err := api.PostMessageContext(t.Context(), channel, o...)
		return err
	}
	update := func(channel, stamp string) error {
		_, _, _, err := good.UpdateMessageContext(t.Context(), channel, stamp, text)
		return err
	}
	for want, err := range map[string]error{
		"not_authed":        post(slackAt(url, ""), "#incidents", text),
		"invalid_auth":      post(slackAt(url, "hunter2"), "#incidents", text),
		"no_text":           post(good, "#incidents"),
		"thread_not_found":  post(good, "#incidents", text, slack.MsgOptionTS("1.2")),
		"message_not_found": update(channel, "1.2"),
		"channel_not_found": update("#incidents", stamp), // editing takes the id, not the name
	} {
		var said slack.SlackErrorResponse
		if !errors.As(err, &said) || said.Err != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if n := len(r.Requests(recorders.Slack)); n != 1 {
		t.Errorf("%d recorded, want the good one only", n)
	}
}

func TestPagerDutyKeepsOneIncidentPerDedupKey(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	api := pagerDutyAt(url)
	for _, e := range []*pagerduty.V2Event{event("trigger", "a"), event("trigger", "a"), event("trigger", "b"),
		event("resolve", "a"), event("resolve", "unheard-of"), event("acknowledge", "b")} {
		if answer, err := api.ManageEventWithContext(t.Context(), e); err != nil || answer.DedupKey != e.DedupKey ||
			answer.Status != "success" {
			t.Fatalf("%s %s: %+v, %v", e.Action, e.DedupKey, answer, err)
		}
	}
	want := map[string]recorders.Incident{
		"a": {Key: "a", State: "resolved", Summary: "P1 errors on shop", Updates: 3},
		"b": {Key: "b", State: "acknowledged", Summary: "P1 errors on shop", Updates: 2},
	}
	if diff := cmp.Diff(want, r.PagerDutyIncidents()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]recorders.Incident{want["b"]}, r.OpenPagerDuty()); diff != "" {
		t.Error(diff)
	}
	if answer, err := api.ManageEventWithContext(t.Context(), event("trigger", "")); err != nil ||
		answer.DedupKey == "" {
		t.Errorf("without a key: %+v, %v", answer, err)
	}
}

func TestPagerDutyRefusesInvalidEvents(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	for name, spoil := range map[string]func(*pagerduty.V2Event){
		"routing key":   func(e *pagerduty.V2Event) { e.RoutingKey = "short" },
		"action":        func(e *pagerduty.V2Event) { e.Action = "page" },
		"no action":     func(e *pagerduty.V2Event) { e.Action = "" },
		"payload":       func(e *pagerduty.V2Event) { e.Payload = nil },
		"summary":       func(e *pagerduty.V2Event) { e.Payload.Summary = "" },
		"long summary":  func(e *pagerduty.V2Event) { e.Payload.Summary = strings.Repeat("é", 1025) },
		"source":        func(e *pagerduty.V2Event) { e.Payload.Source = "" },
		"no severity":   func(e *pagerduty.V2Event) { e.Payload.Severity = "" },
		"half severity": func(e *pagerduty.V2Event) { e.Payload.Severity = "crit" },
		"long key":      func(e *pagerduty.V2Event) { e.DedupKey = strings.Repeat("k", 256) },
		"end of what":   func(e *pagerduty.V2Event) { e.Action, e.DedupKey = "resolve", "" },
	} {
		e := event("trigger", "a")
		spoil(e)
		_, err := pagerDutyAt(url).ManageEventWithContext(t.Context(), e)
		var refused pagerduty.APIError
		if !errors.As(err, &refused) || refused.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %v, want 400", name, err)
		}
	}
	if n := len(r.Requests(recorders.PagerDuty)); n != 0 {
		t.Errorf("%d recorded", n)
	}
}

func TestStatuspageFollowsAnIncident(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	page := url + "/statuspage/v1/pages/abc"
	h := []string{"Authorization", "OAuth t", "Content-Type", "application/json"}
	status, text := send(t, "POST", page+"/incidents",
		`{"incident":{"name":"Degraded service","status":"investigating","body":"looking","components":{"web":"major_outage"}}}`, h...)
	var created struct{ ID string }
	if err := json.Unmarshal([]byte(text), &created); err != nil || status != http.StatusCreated || created.ID == "" {
		t.Fatalf("create: %d %s", status, text)
	}
	if status, text := send(t, "PATCH", page+"/incidents/"+created.ID,
		`{"incident":{"status":"resolved","body":"over"}}`, h...); status != http.StatusOK {
		t.Fatalf("update: %d %s", status, text)
	}
	if status, text := send(t, "PATCH", page+"/components/web", `{"component":{"status":"operational"}}`,
		h...); status != http.StatusOK {
		t.Fatalf("component: %d %s", status, text)
	}
	want := map[string]recorders.Incident{created.ID: {Key: created.ID, State: "resolved", Summary: "over", Updates: 2}}
	if diff := cmp.Diff(want, r.StatuspageIncidents()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"web": "operational"}, r.StatuspageComponents()); diff != "" {
		t.Error(diff)
	}
}

func TestStatuspageRefusesWhatStatuspageRefuses(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	page := url + "/statuspage/v1/pages/abc"
	good := `{"incident":{"name":"n","status":"investigating"}}`
	for _, c := range []struct {
		name, method, path, body, auth, kind string
		want                                 int
	}{
		{"the runbook's curl, which sends no content type", "POST", "/incidents", good, "OAuth t",
			"application/x-www-form-urlencoded", 422},
		{"no token", "POST", "/incidents", good, "", "application/json", 401},
		{"a bearer token", "POST", "/incidents", good, "Bearer t", "application/json", 401},
		{"no name", "POST", "/incidents", `{"incident":{"status":"investigating"}}`, "OAuth t", "application/json",
			422},
		{"unknown status", "POST", "/incidents", `{"incident":{"name":"n","status":"broken"}}`, "OAuth t",
			"application/json", 422},
		{"unknown component status", "PATCH", "/components/web", `{"component":{"status":"down"}}`, "OAuth t",
			"application/json", 422},
		{"unknown incident", "PATCH", "/incidents/x", `{"incident":{"status":"resolved"}}`, "OAuth t",
			"application/json", 404},
		{"no JSON", "POST", "/incidents", `{`, "OAuth t", "application/json", 400},
	} {
		if got, text := send(t, c.method, page+c.path, c.body, "Authorization", c.auth, "Content-Type",
			c.kind); got != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, got, text, c.want)
		}
	}
	if n := len(r.Requests(recorders.Statuspage)); n != 0 {
		t.Errorf("%d recorded", n)
	}
}

// What the vendors' libraries make of each way to fail, and whether the message
// had arrived all the same.
func TestAReceiverFailsAsItIsTold(t *testing.T) {
	for _, c := range []struct {
		mode    recorders.Mode
		status  int // 0: no answer at all
		arrived int
	}{{recorders.Limited, 429, 0}, {recorders.Broken, 500, 0}, {recorders.Applied500, 500, 1},
		{recorders.Reset, 0, 0}} {
		t.Run(string(c.mode), func(t *testing.T) {
			r, url := testRecorder(t, recorders.Options{})
			r.Set(recorders.PagerDuty, c.mode)
			r.Set(recorders.Slack, c.mode)
			_, err := pagerDutyAt(url).ManageEventWithContext(t.Context(), event("trigger", "a"))
			var api pagerduty.APIError
			if errors.As(err, &api); err == nil || api.StatusCode != c.status {
				t.Errorf("PagerDuty: %v", err)
			}
			_, _, err = slackAt(url, "xoxb-1").PostMessageContext(t.Context(), "#c", slack.MsgOptionText("x", false))
			var limited *slack.RateLimitedError
			var code slack.StatusCodeError
			switch {
			case errors.As(err, &limited):
				code.Code = 429
				if limited.RetryAfter != time.Second {
					t.Errorf("Slack: retry after %s", limited.RetryAfter)
				}
			case !errors.As(err, &code) && err == nil:
				t.Error("Slack: no error")
			}
			if code.Code != c.status {
				t.Errorf("Slack: %v", err)
			}
			if n := len(r.OpenPagerDuty()); n != c.arrived {
				t.Errorf("%d incidents at PagerDuty", n)
			}
			if n := len(r.SlackMessages()); n != c.arrived {
				t.Errorf("%d messages in Slack", n)
			}
			if n := r.Attempts(recorders.Slack); n == 0 {
				t.Error("the attempt was not counted")
			}
		})
	}
}

func TestWhatHangsIsCutWhenTheModeChanges(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	r.Set(recorders.PagerDuty, recorders.Hang)
	got := make(chan error, 1)
	go func() {
		_, err := pagerDutyAt(url).ManageEventWithContext(t.Context(), event("trigger", "a"))
		got <- err
	}()
	if err := r.WaitFor(t.Context(),
		func(recorders.Snapshot) bool { return r.Attempts(recorders.PagerDuty) == 1 }); err != nil {
		t.Fatal(err)
	}
	r.Set(recorders.PagerDuty, recorders.OK)
	if err := <-got; err == nil || len(r.Requests(recorders.PagerDuty)) != 0 {
		t.Errorf("it answered %v and recorded %v", err, r.Requests(recorders.PagerDuty))
	}
}

func TestWaitingInVainSaysWhatArrived(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	never := func(recorders.Snapshot) bool { return false }
	if err := r.WaitFor(ctx, never); !errors.Is(err, context.Canceled) ||
		!strings.Contains(err.Error(), "nothing has arrived") {
		t.Errorf("got %v", err)
	}
	if _, err := pagerDutyAt(url).ManageEventWithContext(t.Context(), event("trigger", "a")); err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(ctx, never); err == nil || !strings.Contains(err.Error(), "P1 errors on shop") {
		t.Errorf("got %v", err)
	}
}

func TestASlowReceiverTakesTheMessageAndAnswersLate(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{SlowBy: time.Hour})
	r.Set(recorders.PagerDuty, recorders.Slow)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() {
		_, err := pagerDutyAt(url).ManageEventWithContext(ctx, event("trigger", "a"))
		got <- err
	}()
	if err := r.WaitFor(t.Context(),
		func(s recorders.Snapshot) bool { return len(s.OpenPagerDuty()) == 1 }); err != nil {
		t.Fatal(err)
	}
	cancel() // the client gives up
	if err := <-got; err == nil {
		t.Error("answered at once")
	}
}

func TestOneRequestASecond(t *testing.T) {
	r, url := testRecorder(t, recorders.Options{})
	r.Set(recorders.Statuspage, recorders.PerSecond)
	h := []string{"Authorization", "OAuth t", "Content-Type", "application/json"}
	start := time.Now()
	first, _ := send(t, "POST", url+"/statuspage/v1/pages/abc/incidents", `{"incident":{"name":"n"}}`, h...)
	second, _ := send(t, "POST", url+"/statuspage/v1/pages/abc/incidents", `{"incident":{"name":"n"}}`, h...)
	if soon := time.Since(start) < time.Second; first != http.StatusCreated || soon && second != 420 {
		t.Errorf("answers %d and %d", first, second)
	}
	if i := r.StatuspageIncidents(); i["sp1"].State != "investigating" {
		t.Errorf("recorded %v", i)
	}
}

func TestModesAndRecordsAreThereForPeopleToo(t *testing.T) {
	var told []recorders.Request
	r, url := testRecorder(t, recorders.Options{OnRequest: func(q recorders.Request) { told = append(told, q) }})
	if status, text := send(t, "GET", url+"/recorded", ""); status != 200 || strings.TrimSpace(text) != "[]" {
		t.Errorf("nothing recorded is %d %s", status, text)
	}
	for query, want := range map[string]int{"receiver=pagerduty&mode=applied-500": 204, "receiver=fax&mode=500": 400,
		"receiver=slack&mode=odd": 400} {
		if status, text := send(t, "POST", url+"/mode?"+query, ""); status != want {
			t.Errorf("%s: %d %s", query, status, text)
		}
	}
	if _, err := pagerDutyAt(url).ManageEventWithContext(t.Context(), event("trigger", "a")); err == nil {
		t.Error("the mode was not set")
	}
	send(t, "POST", url+"/mode?receiver=pagerduty&mode=ok", "")
	if _, err := pagerDutyAt(url).ManageEventWithContext(t.Context(), event("resolve", "a")); err != nil {
		t.Error(err)
	}
	_, text := send(t, "GET", url+"/recorded", "")
	var listed []recorders.Request
	if err := json.Unmarshal([]byte(text), &listed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Snapshot().Requests, listed,
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".At" }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
	if len(told) != 2 || !strings.Contains(told[0].String(), "P1 errors on shop") {
		t.Errorf("told of %v", told)
	}
}
