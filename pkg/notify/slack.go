package notify

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/strutil"
)

// chat keeps one Slack message per incident, edited in place, with the timeline as
// its thread.
type chat struct {
	url     string
	token   Secret
	channel string
	takes   []incident.Severity
	about   about
	buttons bool // somebody hears them
	now     func() time.Time
	title   *bounded
	body    *bounded

	mu        sync.Mutex
	repliedAt time.Time
}

var _ Notifier = (*chat)(nil)

func newSlack(c *config.Slack, about about, now func() time.Time) (*chat, error) {
	token, err := NewSecret(c.TokenFile)
	if err != nil {
		return nil, err
	}
	url := c.URL
	if !strings.HasSuffix(url, "/") {
		url += "/"
	}
	s := &chat{url: url, token: token, channel: c.Channel, takes: c.Severities, about: about, buttons: c.Interaction != nil, now: now}
	for _, t := range []struct {
		name, text string
		to         **bounded
	}{{"title", c.Title, &s.title}, {"text", c.Text, &s.body}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = parseBody(t.text, about.shared...); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return s, nil
}

func (*chat) Name() string { return "slack" }

func (s *chat) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	if !wanted(i, s.takes) && !i.Paged && prev.Ref == "" || i.Phase == incident.Resolved && prev.Ref == "" {
		return prev, nil
	}
	text, blocks := slackMessage(i, s.about.of(i), s.buttons, s.now())
	s.dress(ctx, i, blocks)
	d := digest([]any{text, blocks})
	was := prev
	if prev.Ref == "" {
		// The first message says what has happened so far; its thread is what follows.
		prev.Told = i.Dropped + len(i.Timeline)
	}
	thread, told := slackThread(i, prev.Told)
	// An edit of the message notifies nobody (INV-60).
	call := prev.Ref != "" && rings(i, prev)
	if prev.Digest == d && thread == "" && !call {
		return prev, nil
	}
	token, err := s.token.read()
	if err != nil {
		return was, err
	}
	api := slack.New(token, slack.OptionAPIURL(s.url), slack.OptionHTTPClient(httpClient()))
	now := prev
	now.Error = ""
	if prev.Digest != d {
		options := []slack.MsgOption{slack.MsgOptionText(text, false), slack.MsgOptionBlocks(blocks...)}
		channel, stamp, exists := strings.Cut(prev.Ref, "/")
		if exists {
			_, _, _, err = api.UpdateMessageContext(ctx, channel, stamp, options...)
		}
		switch {
		case exists && messageGone(err) && i.Phase == incident.Resolved:
			now.State, now.Digest, now.Told = status(i), d, told
			return now, nil // nobody has it before their eyes
		case exists && messageGone(err):
			prev.Told, thread, told = i.Dropped+len(i.Timeline), "", i.Dropped+len(i.Timeline)
			fallthrough
		case !exists:
			call = false // a new message notifies by itself
			channel, stamp, err = api.PostMessageContext(ctx, s.channel, options...)
		}
		if err != nil {
			return was, slackError(i, err)
		}
		now = incident.Receipt{Ref: channel + "/" + stamp, State: status(i), Digest: d, Told: prev.Told, Severity: prev.Severity}
		if !call {
			now.Severity = graver(prev.Severity, i.Severity)
		}
	}
	// What was told so far is in the receipt, also when the thread has to wait.
	if call {
		thread = strings.TrimSuffix(slackCall(i)+"\n"+thread, "\n")
	}
	if thread != "" {
		if err := s.reply(ctx, api, i, now.Ref, thread, call); err != nil {
			return now, err
		}
	}
	now.Told, now.Severity = told, graver(prev.Severity, i.Severity)
	return now, nil
}

// replyPause is what Slack asks for between two messages to one channel.
const replyPause = time.Second

// slackCall is what the whole channel is told of an incident that has become graver.
func slackCall(i incident.Incident) string {
	text := fmt.Sprintf(":rotating_light: *This is %s now.* %s", i.Severity, escape(strutil.Shorten(i.Title(), 300)))
	if a := answered(i); a != "" {
		text += "\n" + escape(strutil.Shorten(a, 300))
	}
	return text
}

// reply adds to the thread under a message, and with call also shows it as a new
// message in the channel.
func (s *chat) reply(ctx context.Context, api *slack.Client, i incident.Incident, ref, text string, call bool) error {
	if wait := s.nextReply(); wait > 0 {
		return &Failure{Err: fmt.Errorf("the thread of incident %s goes on in a moment: one message per %s", i.ID, replyPause), After: wait, Own: true, Told: true}
	}
	channel, stamp, _ := strings.Cut(ref, "/")
	section := slack.NewSectionBlock(markdown(text), nil, nil)
	options := []slack.MsgOption{slack.MsgOptionTS(stamp), slack.MsgOptionText(cutMarkup(strings.ReplaceAll(text, "\n", " "), 300), false), slack.MsgOptionBlocks(section)}
	if call {
		options = append(options, slack.MsgOptionBroadcast())
	}
	if _, _, err := api.PostMessageContext(ctx, channel, options...); err != nil {
		f := slackError(i, err)
		f.Told = true
		return f
	}
	return nil
}

// nextReply takes the turn, or says how long to wait for it. What waits grows
// together into one message meanwhile.
func (s *chat) nextReply() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if wait := s.repliedAt.Add(replyPause).Sub(now); !s.repliedAt.IsZero() && wait > 0 {
		return wait
	}
	s.repliedAt = now
	return 0
}

func icon(i incident.Incident) string {
	switch {
	case i.Phase == incident.Resolved:
		return ":white_check_mark:"
	case i.Paged:
		return ":rotating_light:"
	case i.Phase == incident.Suppressed || i.Phase == incident.Frozen:
		return ":double_vertical_bar:"
	case i.Op == nil && !tried(i):
		return ":mag:"
	}
	return ":wrench:"
}

// everybody is how Slack addresses a whole channel, in whatever case.
var everybody = regexp.MustCompile(`(?i)@(here|channel|everyone)`)

// escape keeps foreign text from mentioning people or making links (SEC-20).
func escape(s string) string {
	s = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(strutil.Visible(s))
	return everybody.ReplaceAllString(s, "@\u200b$1")
}

// escapeURL keeps a URL of the configuration within its link.
func escapeURL(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C").Replace(strutil.Visible(s))
}

// messageGone: somebody deleted it, or Slack's settings forbid to edit one that is old.
func messageGone(err error) bool {
	var answer slack.SlackErrorResponse
	return errors.As(err, &answer) && slices.Contains([]string{"message_not_found", "cant_update_message", "edit_window_closed"}, answer.Err)
}

func slackError(i incident.Incident, err error) *Failure {
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
