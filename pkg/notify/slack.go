package notify

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// chat keeps one Slack message per incident, edited in place.
type chat struct {
	url     string
	token   Secret
	channel string
	takes   []incident.Severity
	about   about
}

var _ Notifier = (*chat)(nil)

func newSlack(c *config.Slack, about about) (*chat, error) {
	token, err := NewSecret(c.TokenFile)
	if err != nil {
		return nil, err
	}
	url := c.URL
	if !strings.HasSuffix(url, "/") {
		url += "/"
	}
	return &chat{url: url, token: token, channel: c.Channel, takes: c.Severities, about: about}, nil
}

func (*chat) Name() string { return "slack" }

func (s *chat) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	if !wanted(i, s.takes) && !i.Paged && prev.Ref == "" || i.Phase == incident.Resolved && prev.Ref == "" {
		return prev, nil
	}
	text, body := slackText(i, s.about.of(i))
	d := digest([]any{text, body})
	if prev.Digest == d {
		return prev, nil
	}
	token, err := s.token.read()
	if err != nil {
		return prev, err
	}
	api := slack.New(token, slack.OptionAPIURL(s.url), slack.OptionHTTPClient(httpClient()))
	// Verbatim: else Slack itself makes links and mentions of what looks like them.
	section := slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, body, false, true), nil, nil)
	options := []slack.MsgOption{slack.MsgOptionText(text, false), slack.MsgOptionBlocks(section)}
	channel, stamp, exists := strings.Cut(prev.Ref, "/")
	if exists {
		_, _, _, err = api.UpdateMessageContext(ctx, channel, stamp, options...)
	} else {
		channel, stamp, err = api.PostMessageContext(ctx, s.channel, options...)
	}
	if err != nil {
		return prev, slackError(i, err)
	}
	return incident.Receipt{Ref: channel + "/" + stamp, State: status(i), Digest: d}, nil
}

// timelineLines is how much of the timeline a message shows.
const timelineLines = 8

// maxSection is Slack's limit for the text of one block, less a margin.
const maxSection = 2900

// slackText returns the fallback line and the message. It holds nothing that
// changes without news, so that a quiet incident is not edited.
func slackText(i incident.Incident, quick about) (text, body string) {
	text = escape(headline(i))
	var b strings.Builder
	fmt.Fprintf(&b, "%s *%s*\n%s\n", icon(i), text, escape(next(i)))
	if m := maintained(i); m != "" {
		fmt.Fprintf(&b, "%s\n", escape(m))
	}
	if a := answered(i); a != "" {
		fmt.Fprintf(&b, "%s\n", escape(a))
	}
	if p := i.PublicLine(time.Now()); p != "" {
		fmt.Fprintf(&b, "%s\n", escape(p))
	}
	for _, a := range actions(i) {
		fmt.Fprintf(&b, "• %s\n", escape(a))
	}
	if r := reason(i); r != "" {
		fmt.Fprintf(&b, "_Why:_ %s\n", escape(cut(r, 400)))
	}
	b.WriteString("\n")
	lines := i.Timeline[max(0, len(i.Timeline)-timelineLines):]
	for _, e := range lines {
		fmt.Fprintf(&b, "`%s` %s\n", e.At.UTC().Format(time.TimeOnly), escape(cut(e.What+": "+e.Text, 240)))
	}
	fmt.Fprintf(&b, "\n`watchdog why %s`  ·  %s  ·  since %s UTC", escape(i.ID), escape(i.Target.String()), i.OpenedAt.UTC().Format("2006-01-02 15:04:05"))
	foot := quick.slack()
	return cut(text, 300), cut(b.String(), maxSection-len([]rune(foot))) + foot
}

// maxQuick bounds the quick reference within a message.
const maxQuick = 600

// slack is the quick reference as Slack shows it: whole links only.
func (a about) slack() string {
	foot := ""
	if len(a.contacts) > 0 {
		foot = "\n" + cut(escape(strings.Join(a.contacts, "  ·  ")), maxQuick)
	}
	links := ""
	for _, l := range a.links {
		sep := "  ·  "
		if links == "" {
			sep = "\n"
		}
		one := fmt.Sprintf("%s<%s|%s>", sep, escapeURL(l.URL), escape(strings.ReplaceAll(l.Name, "|", "/")))
		if len(links)+len(one) > maxQuick {
			break
		}
		links += one
	}
	return foot + links
}

func icon(i incident.Incident) string {
	switch {
	case i.Phase == incident.Resolved:
		return ":white_check_mark:"
	case i.Paged:
		return ":rotating_light:"
	case i.Phase == incident.Suppressed || i.Phase == incident.Frozen:
		return ":double_vertical_bar:"
	}
	return ":wrench:"
}

// everybody is how Slack addresses a whole channel, in whatever case.
var everybody = regexp.MustCompile(`(?i)@(here|channel|everyone)`)

// escape keeps foreign text from mentioning people or making links (SEC-20).
func escape(s string) string {
	s = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(oneLine(s))
	return everybody.ReplaceAllString(s, "@\u200b$1")
}

// escapeURL keeps a URL of the configuration within its link.
func escapeURL(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C").Replace(oneLine(s))
}

func slackError(i incident.Incident, err error) error {
	f := &Failure{Err: fmt.Errorf("tell Slack of incident %s: %w", i.ID, err)}
	var limited *slack.RateLimitedError
	var answer slack.SlackErrorResponse
	var code slack.StatusCodeError
	switch {
	case errors.As(err, &limited):
		f.After = limited.RetryAfter
	case errors.As(err, &answer):
		// Slack's own words: channel_not_found, invalid_auth, … do not mend themselves quickly.
		f.Final = !strings.Contains(answer.Err, "internal_error") && !strings.Contains(answer.Err, "service_unavailable") && !strings.Contains(answer.Err, "ratelimited")
	case errors.As(err, &code):
		f.Final = code.Code >= 400 && code.Code < 500 && code.Code != 429
	}
	return f
}
