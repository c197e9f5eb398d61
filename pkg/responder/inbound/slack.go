package inbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"watchdog.io/watchdog/pkg/httpclient"
	"watchdog.io/watchdog/pkg/responder"
)

// SlackPath is where Slack posts the clicks on buttons.
const SlackPath = "/webhook/slack"

// SlackSettings are the configuration of Slack's buttons.
type SlackSettings struct {
	URL   string // Slack's API
	Token func() ([]string, error)
	// SigningSecret proves requests; nil: none come by HTTP. AppToken opens the
	// socket; nil: there is none.
	SigningSecret func() ([]string, error)
	AppToken      func() ([]string, error)
	// Users are the people by their Slack ids. Names that people give themselves
	// there mean nothing here.
	Users map[string]responder.Person
}

// SlackOptions are the edges of Slack's handler.
type SlackOptions struct {
	Logger  *slog.Logger
	Service Service
	// Settings returns those in use; nil: the buttons are off.
	Settings func() *SlackSettings
	Now      func() time.Time
	// Connected is called with whether the socket is open.
	Connected func(bool)
}

// Slack receives clicks, by signed requests and by a socket. It is safe for use by
// several goroutines.
type Slack struct {
	o      SlackOptions
	bodies *once // signatures of requests
	clicks *once // a click that Slack sends again is one click
	room   chan struct{}
}

// NewSlack returns the handler of SlackPath.
func NewSlack(o SlackOptions) *Slack {
	return &Slack{o: o, bodies: newOnce(2*slackAge, maxSeen), clicks: newOnce(time.Hour, maxSeen),
		room: make(chan struct{}, maxClicks)}
}

const (
	slackAge  = 5 * time.Minute // how far a request's time may be from ours
	maxSeen   = 10_000
	maxClicks = 16 // at once
	// slackPatience is how long Slack may wait; it shows people an error after 3 s.
	slackPatience = 2500 * time.Millisecond
)

// ServeHTTP takes one signed request.
func (s *Slack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set := s.o.Settings()
	if set == nil || set.SigningSecret == nil {
		failUnread(w, http.StatusNotFound, "receivers.slack.interaction.signing_secret_file is not set")
		return
	}
	// Headers are checked first: the body of an unauthenticated request is not read.
	signature := r.Header.Get("X-Slack-Signature")
	stamp := r.Header.Get("X-Slack-Request-Timestamp")
	if !slackFresh(signature, stamp, s.o.Now()) {
		failUnread(w, http.StatusUnauthorized, errForged.Error())
		return
	}
	body, ok := signedBody(w, r, s.o.Logger, "slack", set.SigningSecret, func(secrets []string, body []byte) bool {
		return slackSigned(secrets, signature, stamp, body, s.o.Now())
	})
	if !ok {
		return
	}
	// One body signed for one moment has one signature, whatever the case of its letters.
	switch err := s.bodies.first(strings.ToLower(signature), s.o.Now()); {
	case errors.Is(err, errBusy):
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	case err != nil:
		fail(w, http.StatusUnauthorized, err.Error())
		return
	}
	form, err := url.ParseQuery(string(body))
	c, ok := click{}, false
	if err == nil {
		c, ok, err = parseClick([]byte(form.Get("payload")))
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if ok && !s.work(r.Context(), set, c) {
		fail(w, http.StatusServiceUnavailable, "too many concurrent clicks; try again")
		return
	}
	w.WriteHeader(http.StatusOK)
}

// slackFresh reports whether the headers can be those of a request that Slack signed
// a moment ago: what can be told without the body.
func slackFresh(signature, stamp string, now time.Time) bool {
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || strconv.FormatInt(at, 10) != stamp || now.Sub(time.Unix(at, 0)).Abs() > slackAge {
		return false
	}
	v0, ok := strings.CutPrefix(signature, "v0=")
	return ok && isSum(v0)
}

// slackSigned follows Slack's "Verifying requests": version 0, over the version, the
// time and the raw body.
func slackSigned(secrets []string, signature, stamp string, body []byte, now time.Time) bool {
	return slackFresh(signature, stamp, now) && signed(secrets, []string{strings.TrimPrefix(signature, "v0=")},
		"v0:", stamp, ":", string(body))
}

// click is one press of one button.
type click struct {
	user, channel, thread string
	button                responder.Button
	id                    string // Slack's for this press
}

// payload is the part of an interaction that matters.
type payload struct {
	Type string `json:"type"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
	Container struct {
		ChannelID string `json:"channel_id"`
		MessageTS string `json:"message_ts"`
		ThreadTS  string `json:"thread_ts"`
	} `json:"container"`
	Actions []struct {
		ActionID string `json:"action_id"`
		Value    string `json:"value"`
		ActionTS string `json:"action_ts"`
	} `json:"actions"`
}

// parseClick reads an interaction. ok is false for those that are none of ours, such
// as a click on a link.
func parseClick(b []byte) (c click, ok bool, err error) {
	var p payload
	if err := json.Unmarshal(b, &p); err != nil {
		return c, false, fmt.Errorf("not a valid Slack payload: %w", err)
	}
	if p.Type != "block_actions" || len(p.Actions) == 0 {
		return c, false, nil
	}
	if len(p.Actions) > 1 {
		return c, false, errors.New("the payload must have exactly one action")
	}
	a := p.Actions[0]
	if p.User.ID == "" || len(p.User.ID) > maxID || len(a.ActionTS) > maxID {
		return c, false, errors.New("the payload has no user")
	}
	button, ours := responder.ParseButton(a.ActionID, a.Value)
	if !ours {
		return c, false, nil
	}
	c = click{user: p.User.ID, channel: p.Container.ChannelID, thread: p.Container.ThreadTS, button: button,
		id: p.User.ID + " " + a.ActionID + " " + a.Value + " " + a.ActionTS}
	if c.channel == "" {
		c.channel = p.Channel.ID
	}
	return c, true, nil
}

const maxID = 64

// work does what a click is for, and answers the person. It waits for that as long as
// Slack waits; the action itself is not given up then. It returns false when
// there is no room.
func (s *Slack) work(ctx context.Context, set *SlackSettings, c click) bool {
	select {
	case s.room <- struct{}{}:
	default:
		return false
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { <-s.room }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actionTime)
		defer cancel()
		if text := s.result(ctx, set, c); text != "" {
			s.respond(ctx, set, c, text)
		}
	}()
	limit := time.NewTimer(slackPatience)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
	}
	return true
}

// result returns the answer for the person; "": this click was answered before.
func (s *Slack) result(ctx context.Context, set *SlackSettings, c click) string {
	if err := s.clicks.first(c.id, s.o.Now()); err != nil {
		return ""
	}
	w := responder.Request{Action: c.button.Action, Incident: c.button.Incident, Op: c.button.Op, Plan: c.button.Plan,
		Source: SourceSlack}
	if w.Action == responder.Undo {
		w.Reason = "by button in Slack"
	}
	p, known := set.Users[c.user]
	if !known {
		// Their id is no name: it is on record as what it is.
		w.By = "slack user " + c.user
		return "Refused: " + s.o.Service.Refuse(w,
			fmt.Sprintf("Slack user %s is not listed in receivers.slack.interaction.users", c.user)).Error()
	}
	var text string
	var err error
	if w.Action == responder.Why {
		text, err = s.o.Service.Why(ctx, w.Incident)
	} else {
		text, err = s.o.Service.Do(ctx, p, w)
	}
	no := (*responder.Refused)(nil)
	switch {
	case err == nil:
		return text
	case errors.As(err, &no):
		return "Refused: " + no.Reason
	}
	s.o.Logger.Error("click in Slack not applied", "user", p.Name, "verb", w.Action, "incident", w.Incident, "err", err)
	s.clicks.forget(c.id)
	return "Your click was not applied: the Kubernetes API did not respond. Try again, or use the CLI."
}

// maxResponse is below Slack's limit for one section.
const maxResponse = 2900

// respond answers so that only the person sees it.
func (s *Slack) respond(ctx context.Context, set *SlackSettings, c click, text string) {
	token, err := set.Token()
	if err == nil {
		api := slack.New(token[0], slack.OptionAPIURL(set.URL), slack.OptionHTTPClient(httpclient.New(nil, actionTime)))
		r := []rune(text)
		// Plain text: nothing in it is a link or a mention.
		block := slack.NewSectionBlock(slack.NewTextBlockObject(slack.PlainTextType, string(r[:min(len(r), maxResponse)]),
			false, false), nil, nil)
		options := []slack.MsgOption{slack.MsgOptionText(string(r[:min(len(r), 150)]), true),
			slack.MsgOptionBlocks(block)}
		if c.thread != "" {
			options = append(options, slack.MsgOptionTS(c.thread))
		}
		_, err = api.PostEphemeralContext(ctx, c.channel, c.user, options...)
	}
	if err != nil {
		s.o.Logger.Warn("cannot report the result of a click", "user", c.user, "incident", c.button.Incident,
			"err", err)
	}
}
