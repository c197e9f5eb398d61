package slackview

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/recorders"
)

func TestAChannelAsItIsRead(t *testing.T) {
	rec := recorders.New(recorders.Options{})
	send := func(method string, fields url.Values) string {
		t.Helper()
		fields.Set("token", "xoxb-1")
		fields.Set("channel", "C01234567")
		fields.Set("text", "x")
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/slack/api/"+method,
			strings.NewReader(fields.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec.ServeHTTP(httptest.NewRecorder(), req)
		all := rec.Snapshot().Requests
		return all[len(all)-1].Key
	}
	section := func(text string) url.Values {
		return url.Values{"blocks": {`[{"type":"section","text":{"type":"mrkdwn","text":"` + text + `"}}]`}}
	}
	key := send("chat.postMessage", section("first"))
	edit := section("*bold* &lt;script&gt; `a_b_c` <https://x.test|link>")
	edit.Set("ts", key)
	send("chat.update", edit)
	reply := section("_later_")
	reply.Set("thread_ts", key)
	send("chat.postMessage", reply)
	answer := section("for you")
	answer.Set("user", "U0ALICE")
	send("chat.postEphemeral", answer)
	var b strings.Builder
	if err := HTML(&b, "incidents", rec.Snapshot()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# incidents",
		"<b>bold</b> &lt;script&gt; <code>a_b_c</code> <a href=\"https://x.test\">link</a>", "(edited)", "<i>later</i>",
		"Only visible to you"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "first") || strings.Contains(b.String(), "<script>") {
		t.Errorf("shown though it is not:\n%s", b.String())
	}
}
