package recorders

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// What Slack would refuse of blocks is refused here, too.
func TestBlocksBeyondSlacksLimitsAreRefused(t *testing.T) {
	section := func(n int) string {
		return fmt.Sprintf(`{"type":"section","text":{"type":"mrkdwn","text":%q}}`, strings.Repeat("x", n))
	}
	button := func(label, action, value, more string) string {
		return fmt.Sprintf(`{"type":"button","text":{"type":"plain_text","text":%q},"action_id":%q,"value":%q%s}`,
			label, action, value, more)
	}
	actions := func(all ...string) string {
		return `{"type":"actions","elements":[` + strings.Join(all, ",") + `]}`
	}
	for _, tt := range []struct {
		name, blocks, want string
	}{
		{"a message", section(10) + "," + actions(button("Approve", "a", "v", ""),
			button("Deny", "b", "v",
				`,"confirm":{"title":{"text":"t"},"text":{"text":"x"},"confirm":{"text":"y"},"deny":{"text":"n"}}`)),
			""},
		{"a section of 3000 characters", section(3000), ""},
		{"a section of more", section(3001), "invalid_blocks"},
		{"an empty section", section(0), "invalid_blocks"},
		{"51 blocks", strings.TrimSuffix(strings.Repeat(section(1)+",", 51), ","), "invalid_blocks"},
		{"a header in markup", `{"type":"header","text":{"type":"mrkdwn","text":"x"}}`, "invalid_blocks"},
		{"a header of 151 characters", `{"type":"header","text":{"type":"plain_text","text":"` +
			strings.Repeat("x", 151) + `"}}`, "invalid_blocks"},
		{"a context of nothing", `{"type":"context","elements":[]}`, "invalid_blocks"},
		{"a button of 76 characters", actions(button(strings.Repeat("x", 76), "a", "", "")), "invalid_blocks"},
		{"a button with a value of 2001", actions(button("x", "a", strings.Repeat("x", 2001), "")), "invalid_blocks"},
		{"two buttons of one name", actions(button("x", "a", "", ""), button("y", "a", "", "")), "invalid_blocks"},
		{"a dialogue of 301 characters", actions(button("x", "a", "",
			`,"confirm":{"title":{"text":"t"},"text":{"text":"`+strings.Repeat("x",
				301)+`"},"confirm":{"text":"y"},"deny":{"text":"n"}}`)), "invalid_blocks"},
		{"no blocks", `{`, "invalid_blocks_format"},
	} {
		r := New(Options{})
		form := url.Values{"token": {"xoxb-1"}, "channel": {"C01234567"}, "text": {"x"},
			"blocks": {"[" + tt.blocks + "]"}}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/slack/api/chat.postMessage",
			strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		var said struct{ Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || said.Error != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, said.Error, err, tt.want)
		}
	}
}
