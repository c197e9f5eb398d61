package recorders

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"strings"
)

// slack is chat.postMessage and chat.update, as a form or as JSON. Slack says no
// with status 200 and ok=false.
func (r *Recorder) slack(w http.ResponseWriter, req *http.Request) {
	if req.PathValue("method") == "apps.connections.open" {
		r.openSocket(w, req)
		return
	}
	fields, err := slackFields(req)
	if err != nil {
		answer(w, http.StatusOK, slackNo("invalid_arguments").body)
		return
	}
	if no := slackAuth(req, fields); no != "" {
		answer(w, http.StatusOK, slackNo(no).body)
		return
	}
	delete(fields, "token") // what is listed and printed holds no secret
	channel := slackChannel(fields["channel"])
	q := &Request{Receiver: Slack, Key: fields["ts"], Summary: fields["text"]}
	var do apply
	switch req.PathValue("method") {
	case "chat.postMessage":
		do = r.slackPost(fields)
	case "chat.update":
		do = r.slackUpdate(fields, channel)
	case "chat.postEphemeral":
		do = r.slackEphemeral(fields)
	default:
		answer(w, http.StatusOK, slackNo("unknown_method").body)
		return
	}
	if fields["channel"] == "" {
		answer(w, http.StatusOK, slackNo("channel_not_found").body)
		return
	}
	if no := tooLong(fields); no != "" {
		answer(w, http.StatusOK, slackNo(no).body)
		return
	}
	if fields["text"] == "" && fields["blocks"] == "" && fields["attachments"] == "" {
		answer(w, http.StatusOK, slackNo("no_text").body)
		return
	}
	q.Body, _ = json.Marshal(fields)
	if r.take(w, req, q, do) {
		answer(w, http.StatusOK, map[string]any{"ok": true, "channel": channel, "ts": q.Key, "text": q.Summary,
			"message": map[string]any{"type": "message", "text": q.Summary, "ts": q.Key}})
	}
}

func (r *Recorder) slackPost(fields map[string]string) apply {
	return func(q *Request) *refusal {
		q.Action = "post"
		if thread := fields["thread_ts"]; thread != "" {
			if !r.knows(Slack, thread, "post") {
				return slackNo("thread_not_found")
			}
			q.Action = "reply"
		}
		r.lastStamp++
		q.Key = fmt.Sprintf("%d.%06d", q.At.Unix(), r.lastStamp)
		return nil
	}
}

func (r *Recorder) slackUpdate(fields map[string]string, channel string) apply {
	return func(q *Request) *refusal {
		q.Action = "update"
		switch {
		case fields["channel"] != channel:
			return slackNo("channel_not_found") // posting takes a channel's name, editing only its id
		case !r.knows(Slack, q.Key, "post", "reply"):
			return slackNo("message_not_found")
		}
		return nil
	}
}

// slackEphemeral is seen by one person, and by nobody later: it has no place among
// the messages.
func (r *Recorder) slackEphemeral(fields map[string]string) apply {
	return func(q *Request) *refusal {
		q.Action, q.Key = "ephemeral", fields["user"]
		if fields["user"] == "" {
			return slackNo("no_user")
		}
		return nil
	}
}

// tooLong returns why Slack would refuse the blocks, "" if it would not: the limits
// are those of its reference of Block Kit.
func tooLong(fields map[string]string) string {
	if fields["blocks"] == "" {
		return ""
	}
	type object struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	var blocks []struct {
		Type     string            `json:"type"`
		Text     *object           `json:"text"`
		Elements []json.RawMessage `json:"elements"`
	}
	if json.Unmarshal([]byte(fields["blocks"]), &blocks) != nil {
		return "invalid_blocks_format"
	}
	over := func(s string, n int) bool { return len([]rune(s)) > n || s == "" }
	bad := len(blocks) > 50
	for _, b := range blocks {
		switch b.Type {
		case "header":
			bad = bad || b.Text == nil || b.Text.Type != "plain_text" || over(b.Text.Text, 150)
		case "section":
			bad = bad || b.Text == nil || over(b.Text.Text, 3000)
		case "context":
			bad = bad || len(b.Elements) == 0 || len(b.Elements) > 10
			for _, e := range b.Elements {
				var text object
				bad = bad || json.Unmarshal(e, &text) != nil || over(text.Text, 3000)
			}
		case "actions":
			bad = bad || len(b.Elements) == 0 || len(b.Elements) > 25 || !buttonsFit(b.Elements)
		}
	}
	if bad {
		return "invalid_blocks"
	}
	return ""
}

func buttonsFit(elements []json.RawMessage) bool {
	names := map[string]bool{}
	for _, e := range elements {
		var b struct {
			Text struct {
				Text string `json:"text"`
			} `json:"text"`
			ActionID string `json:"action_id"`
			Value    string `json:"value"`
			Confirm  *struct {
				Title, Text, Confirm, Deny struct {
					Text string `json:"text"`
				}
			} `json:"confirm"`
		}
		if json.Unmarshal(e, &b) != nil || names[b.ActionID] || b.Text.Text == "" || len([]rune(b.Text.Text)) > 75 ||
			len(b.ActionID) > 255 || len(b.Value) > 2000 {
			return false
		}
		names[b.ActionID] = true
		if c := b.Confirm; c != nil && (len([]rune(c.Title.Text)) > 100 || len([]rune(c.Text.Text)) > 300 ||
			len([]rune(c.Confirm.Text)) > 30 || len([]rune(c.Deny.Text)) > 30) {
			return false
		}
	}
	return true
}

func slackNo(reason string) *refusal {
	return &refusal{http.StatusOK, map[string]any{"ok": false, "error": reason}}
}

// slackAuth returns why a request is not let in: its bot token must be in the
// Authorization header or, as slack-go sends it, in the form.
func slackAuth(req *http.Request, fields map[string]string) string {
	token := cmp.Or(strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), fields["token"])
	switch {
	case token == "":
		return "not_authed"
	case !strings.HasPrefix(token, "xoxb-"):
		return "invalid_auth"
	}
	return ""
}

// slackChannel is the id of a channel that was given by name or id.
func slackChannel(channel string) string {
	if len(channel) > 8 && strings.ContainsAny(channel[:1], "CDG") && strings.ToUpper(channel) == channel {
		return channel
	}
	return fmt.Sprintf("C%08X", crc32.ChecksumIEEE([]byte(strings.TrimPrefix(channel, "#"))))
}

// slackFields reads both encodings to the same: what is no string in JSON, such
// as blocks, is JSON text in a form.
func slackFields(req *http.Request) (map[string]string, error) {
	b, err := body(req)
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	if !isJSON(req) {
		form, err := url.ParseQuery(string(b))
		for k := range form {
			fields[k] = form.Get(k)
		}
		return fields, err
	}
	raw := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, err
	}
	for k, v := range raw {
		var s string
		if json.Unmarshal(v, &s) != nil {
			s = string(v)
		}
		fields[k] = s
	}
	return fields, nil
}
