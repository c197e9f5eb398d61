// Package slackview draws what a Slack channel looks like to somebody who reads it,
// from what a recorder was told: for the picture in the documentation, and for
// whoever changes a message and wants to see it.
//
// It owns the looks and leaves to recorders what was sent. Its one rule: it shows what
// Slack would show and nothing else, so that a mistake in a message is seen.
package slackview

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"io"
	"regexp"
	"strings"

	"watchdog.io/watchdog/internal/recorders"
)

// message is one message as it stands now, with its thread.
type message struct {
	At     string
	Edited bool
	Blocks []block
	Thread []message
	// Only is who sees it, of an ephemeral one.
	Only string
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type block struct {
	Type     string    `json:"type"`
	Text     *text     `json:"text"`
	Elements []element `json:"elements"`
}

// element is a button or, in a context, a text.
type element struct {
	Type  string          `json:"type"`
	Text  json.RawMessage `json:"text"`
	Style string          `json:"style"`
}

// HTML draws the channel.
func HTML(w io.Writer, channel string, s recorders.Snapshot) error {
	all, err := messages(s)
	if err != nil {
		return err
	}
	return page.Execute(w, map[string]any{"Channel": channel, "Messages": all})
}

func messages(s recorders.Snapshot) ([]message, error) {
	var order []string
	by := map[string]*message{}
	for _, q := range s.Of(recorders.Slack) {
		var fields map[string]string
		if err := json.Unmarshal(q.Body, &fields); err != nil {
			return nil, fmt.Errorf("message %s: %w", q.Key, err)
		}
		m := message{At: q.At.UTC().Format("15:04")}
		if err := json.Unmarshal([]byte(fields["blocks"]), &m.Blocks); err != nil {
			return nil, fmt.Errorf("blocks of message %s: %w", q.Key, err)
		}
		switch parent := by[fields["thread_ts"]]; {
		case q.Action == "update" && by[q.Key] != nil:
			by[q.Key].Blocks, by[q.Key].Edited = m.Blocks, true
		case q.Action == "reply" && parent != nil:
			parent.Thread = append(parent.Thread, m)
		case q.Action == "ephemeral":
			m.Only = q.Key
			order = append(order, fmt.Sprintf("%s %d", q.Key, len(order))) // the key is who sees it
			by[order[len(order)-1]] = &m
		default:
			order = append(order, q.Key)
			by[q.Key] = &m
		}
	}
	var all []message
	for _, key := range order {
		all = append(all, *by[key])
	}
	return all, nil
}

// emoji are those that watchdog uses.
var emoji = strings.NewReplacer(":rotating_light:", "🚨", ":white_check_mark:", "✅", ":wrench:", "🔧",
	":double_vertical_bar:", "⏸️")

var (
	bold   = regexp.MustCompile(`(^|[\s(])\*([^*\n]+)\*`)
	italic = regexp.MustCompile(`(^|[\s(])_([^_\n]+)_`)
	code   = regexp.MustCompile("`([^`\n]+)`")
	link   = regexp.MustCompile(`&lt;(https?:[^|\s]+?)\|(.+?)&gt;`)
)

// shown is a text object as HTML.
func shown(t text) template.HTML {
	s := t.Text
	if t.Type != "mrkdwn" {
		return template.HTML(emoji.Replace(html.EscapeString(s))) //nolint:gosec // escaped here
	}
	// What is markup in Slack is not escaped there; what is escaped there is text.
	s = strings.NewReplacer("<", "\x01", ">", "\x02").Replace(s)
	s = html.EscapeString(html.UnescapeString(s))
	s = strings.NewReplacer("\x01", "&lt;", "\x02", "&gt;").Replace(s)
	s = link.ReplaceAllString(s, `<a href="$1">$2</a>`)
	var codes []string
	s = code.ReplaceAllStringFunc(s, func(c string) string {
		codes = append(codes, "<code>"+strings.Trim(c, "`")+"</code>")
		return fmt.Sprintf("\x03%d\x03", len(codes)-1)
	})
	s = bold.ReplaceAllString(s, "$1<b>$2</b>")
	s = italic.ReplaceAllString(s, "$1<i>$2</i>")
	for i, c := range codes {
		s = strings.ReplaceAll(s, fmt.Sprintf("\x03%d\x03", i), c)
	}
	return template.HTML(emoji.Replace(strings.ReplaceAll(s, "\n", "<br>"))) //nolint:gosec // escaped here
}

// Label is what stands on a button.
func (e element) Label() template.HTML {
	var t text
	if json.Unmarshal(e.Text, &t) == nil {
		return shown(t)
	}
	return ""
}

// Note is the text of a context's element.
func (e element) Note() template.HTML {
	var s string
	if json.Unmarshal(e.Text, &s) != nil {
		return ""
	}
	return shown(text{e.Type, s})
}

// HTML is a block's text.
func (b block) HTML() template.HTML {
	if b.Text == nil {
		return ""
	}
	return shown(*b.Text)
}

//go:embed page.html.tmpl
var pageText string

var page = template.Must(template.New("page").Parse(pageText))
