// Package slack posts incidents in a Slack channel.
//
// It owns the message, its buttons and its thread, and Slack's limits and markup. It
// leaves what a click means to pkg/responder/inbound and pkg/responder.
//
// Its one rule: one incident is one message, edited in place; what comes from elsewhere
// is escaped, so that it mentions nobody and makes no link.
package slack

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
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/strutil"
)

// Slack keeps one Slack message per incident, edited in place, with the timeline as
// its thread.
type Slack struct {
	url       string
	token     notify.Secret
	channel   string
	takes     []incident.Severity
	reference notify.QuickReference
	buttons   bool // somebody hears them
	now       func() time.Time
	title     *notify.Template
	body      *notify.Template

	mu        sync.Mutex
	repliedAt time.Time
}

var _ notify.Notifier = (*Slack)(nil)

// New returns the receiver of a configured Slack channel, or what is wrong with its secrets or addresses.
func New(c *config.Slack, about notify.QuickReference, now func() time.Time) (*Slack, error) {
	token, err := notify.NewSecret(c.TokenFile)
	if err != nil {
		return nil, err
	}
	url := c.URL
	if !strings.HasSuffix(url, "/") {
		url += "/"
	}
	s := &Slack{url: url, token: token, channel: c.Channel, takes: c.Severities, reference: about,
		buttons: c.Interaction != nil, now: now}
	for _, t := range []struct {
		name, text string
		to         **notify.Template
	}{{"title", c.Title, &s.title}, {"text", c.Text, &s.body}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = notify.ParseTemplate(t.text, about.Shared...); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return s, nil
}

// Name is the name of the receiver in the configuration.
func (*Slack) Name() string { return "slack" }

// Notify posts the incident, or updates its message, and replies in the thread when its state changed.
func (s *Slack) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	if !notify.Wanted(i, s.takes) && !i.Paged && prev.Ref == "" || i.Phase == incident.Resolved && prev.Ref == "" {
		return prev, nil
	}
	text, blocks := slackMessage(i, s.reference.Of(i), s.buttons, s.now())
	s.applyTemplates(ctx, i, blocks)
	d := notify.Digest([]any{text, blocks})
	was := prev
	if prev.Ref == "" {
		// The first message says what has happened so far; its thread is what follows.
		prev.Told = i.Dropped + len(i.Timeline)
	}
	thread, sent := slackThread(i, prev.Told)
	// An edit of the message notifies nobody (INV-60).
	call := prev.Ref != "" && notify.Rings(i, prev)
	if prev.Digest == d && thread == "" && !call {
		return prev, nil
	}
	token, err := s.token.Reveal()
	if err != nil {
		return was, err
	}
	api := slack.New(token, slack.OptionAPIURL(s.url), slack.OptionHTTPClient(notify.HTTPClient()))
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
			now.State, now.Digest, now.Told = notify.Status(i), d, sent
			return now, nil // nobody has it before their eyes
		case exists && messageGone(err):
			prev.Told, thread, sent = i.Dropped+len(i.Timeline), "", i.Dropped+len(i.Timeline)
			fallthrough
		case !exists:
			call = false // a new message notifies by itself
			channel, stamp, err = api.PostMessageContext(ctx, s.channel, options...)
		}
		if err != nil {
			return was, slackError(i, err)
		}
		now = incident.Receipt{Ref: channel + "/" + stamp, State: notify.Status(i), Digest: d, Told: prev.Told,
			Severity: prev.Severity}
		if !call {
			now.Severity = notify.Graver(prev.Severity, i.Severity)
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
	now.Told, now.Severity = sent, notify.Graver(prev.Severity, i.Severity)
	return now, nil
}

// replyPause is what Slack asks for between two messages to one channel.
const replyPause = time.Second

// slackCall is the message to the whole channel about a higher severity.
func slackCall(i incident.Incident) string {
	text := fmt.Sprintf(":rotating_light: *This is %s now.* %s", i.Severity, escape(strutil.Shorten(i.Title(), 300)))
	if a := notify.Answered(i); a != "" {
		text += "\n" + escape(strutil.Shorten(a, 300))
	}
	return text
}

// reply adds to the thread under a message, and with call also shows it as a new
// message in the channel.
func (s *Slack) reply(ctx context.Context, api *slack.Client, i incident.Incident, ref, text string, call bool) error {
	if wait := s.nextReply(); wait > 0 {
		return &notify.Failure{Err: fmt.Errorf("thread of incident %s delayed: at most one message per %s",
			i.ID, replyPause), After: wait, Own: true, Delivered: true}
	}
	channel, stamp, _ := strings.Cut(ref, "/")
	section := slack.NewSectionBlock(markdown(text), nil, nil)
	options := []slack.MsgOption{slack.MsgOptionTS(stamp),
		slack.MsgOptionText(cutMarkup(strings.ReplaceAll(text, "\n", " "), 300), false), slack.MsgOptionBlocks(section)}
	if call {
		options = append(options, slack.MsgOptionBroadcast())
	}
	if _, _, err := api.PostMessageContext(ctx, channel, options...); err != nil {
		f := slackError(i, err)
		f.Delivered = true
		return f
	}
	return nil
}

// nextReply takes the turn, or says how long to wait for it. What waits grows
// together into one message meanwhile.
func (s *Slack) nextReply() time.Duration {
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
	case i.Op == nil && !notify.Tried(i):
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
	return errors.As(err, &answer) && slices.Contains([]string{"message_not_found",
		"cant_update_message", "edit_window_closed"}, answer.Err)
}

func slackError(i incident.Incident, err error) *notify.Failure {
	f := &notify.Failure{Err: fmt.Errorf("notify Slack of incident %s: %w", i.ID, err)}
	var limited *slack.RateLimitedError
	var answer slack.SlackErrorResponse
	var code slack.StatusCodeError
	switch {
	case errors.As(err, &limited):
		f.After = limited.RetryAfter
	case errors.As(err, &answer):
		// Slack's own words: channel_not_found, invalid_auth, … do not mend themselves quickly.
		f.Final = !strings.Contains(answer.Err, "internal_error") &&
			!strings.Contains(answer.Err, "service_unavailable") && !strings.Contains(answer.Err, "ratelimited")
	case errors.As(err, &code):
		f.Final = code.Code >= 400 && code.Code < 500 && code.Code != 429
	}
	return f
}
