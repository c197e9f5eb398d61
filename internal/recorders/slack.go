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
	default:
		answer(w, http.StatusOK, slackNo("unknown_method").body)
		return
	}
	if fields["channel"] == "" {
		answer(w, http.StatusOK, slackNo("channel_not_found").body)
		return
	}
	if fields["text"] == "" && fields["blocks"] == "" && fields["attachments"] == "" {
		answer(w, http.StatusOK, slackNo("no_text").body)
		return
	}
	q.Body, _ = json.Marshal(fields)
	if r.take(w, req, q, do) {
		answer(w, http.StatusOK, map[string]any{"ok": true, "channel": channel, "ts": q.Key, "text": q.Summary, "message": map[string]any{"type": "message", "text": q.Summary, "ts": q.Key}})
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
