package notifytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/recorders"
)

// Hostile is text with markup of every channel. Where it is shown as it stands, it links nowhere and calls nobody.
const Hostile = `<!subteam^evil> <https://evil.test|runbook> [runbook](https://evil.test) ` +
	`<script src="https://evil.test">`

// Shown is what the reader of a message sees: its text, and the markup that is rendered, such as links, mentions and
// tags.
func Shown(t testing.TB, q recorders.Request) (text string, markup []string) {
	t.Helper()
	var body any
	if err := json.Unmarshal(q.Body, &body); err != nil {
		t.Fatal(err)
	}
	var all []string
	switch q.Receiver {
	case recorders.PagerDuty, recorders.Statuspage, recorders.Webhook: // plain text in JSON
		leaves(body, func(_ string, s string) { all = append(all, s) })
	case recorders.Slack:
		fields := body.(map[string]any)
		var blocks any
		if err := json.Unmarshal([]byte(fmt.Sprint(fields["blocks"])), &blocks); err != nil {
			t.Fatal(err)
		}
		leaves(map[string]any{"type": "mrkdwn", "text": fields["text"], "blocks": blocks}, func(kind, s string) {
			if kind == "mrkdwn" {
				markup = append(markup, angle.FindAllString(s, -1)...)
				s = slackText.Replace(angle.ReplaceAllString(s, ""))
			}
			all = append(all, s)
		})
	case recorders.Email:
		m, err := mail.ReadMessage(strings.NewReader(body.(string)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, q.Summary)
		for kind, part := range mailParts(t, m) {
			if kind == "text/html" {
				markup = append(markup, angle.FindAllString(part, -1)...)
				part = html.UnescapeString(angle.ReplaceAllString(part, ""))
			}
			all = append(all, part)
		}
	default:
		t.Fatalf("receiver %q: give notifytest.Shown (internal/notifytest/shown.go) a case: what is text in its messages, "+
			"and what is markup", q.Receiver)
	}
	return strings.Join(all, "\n"), markup
}

var (
	angle     = regexp.MustCompile(`<[^>]*>`)
	slackText = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// leaves calls do with each text in v, and with the type of the object that it is in.
func leaves(v any, do func(kind, text string)) {
	switch v := v.(type) {
	case map[string]any:
		kind, _ := v["type"].(string)
		for _, x := range v {
			if s, is := x.(string); is {
				do(kind, s)
				continue
			}
			leaves(x, do)
		}
	case []any:
		for _, x := range v {
			if s, is := x.(string); is {
				do("", s)
				continue
			}
			leaves(x, do)
		}
	}
}

// mailParts are the decoded parts of a mail by their type.
func mailParts(t testing.TB, m *mail.Message) map[string]string {
	t.Helper()
	all := map[string]string{}
	add := func(kind, encoding string, r io.Reader) {
		if encoding == "quoted-printable" {
			r = quotedprintable.NewReader(r)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[kind] = string(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")))
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if params["boundary"] == "" {
		add(kind, m.Header.Get("Content-Transfer-Encoding"), m.Body)
		return all
	}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ = mime.ParseMediaType(p.Header.Get("Content-Type"))
		add(kind, p.Header.Get("Content-Transfer-Encoding"), p)
	}
}
