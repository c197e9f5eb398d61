package inbound

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"watchdog.io/watchdog/pkg/httpclient"
)

const (
	socketPoll = 5 * time.Second // how often the settings are looked at
	socketRest = time.Minute     // after Slack refused the socket
)

// Run keeps a socket open while the settings ask for one, until ctx ends. Every
// replica does: Slack hands each click to one of them, and a click is not lost while
// the leader changes.
func (s *Slack) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		rest := socketPoll
		if set := s.o.Settings(); set != nil && set.AppToken != nil {
			if err := s.connect(ctx, set); err != nil {
				s.o.Logger.Error("Slack Socket Mode disconnected; clicks are not received; retrying", "err", err)
				rest = socketRest
			}
			s.o.Connected(false)
		}
		timer := time.NewTimer(rest)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// connect receives clicks by the socket until the settings change or ctx ends. What
// breaks is connected again by the library; an error is Slack's refusal.
func (s *Slack) connect(ctx context.Context, set *SlackSettings) error {
	app, err := set.AppToken()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	api := slack.New("", slack.OptionAppLevelToken(app[0]), slack.OptionAPIURL(set.URL),
		slack.OptionHTTPClient(httpclient.New(nil, actionTime)))
	client := socketmode.New(api, socketmode.OptionDialer(socketDialer()),
		socketmode.OptionLog(log.New(io.Discard, "", 0)))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.receive(ctx, cancel, client, set)
	}()
	err = client.RunContext(ctx)
	gone := ctx.Err() != nil
	cancel()
	<-ended
	if gone {
		return nil
	}
	return fmt.Errorf("Slack rejected the Socket Mode connection: check that app_token_file is an app-level token "+
		"(xapp-…) with connections:write: %w", err)
}

// socketDialer connects to the address that Slack names for the socket. Otherwise it is as
// the library's own: a message of Slack's greatest size must fit into one frame.
func socketDialer() *websocket.Dialer {
	return &websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, HandshakeTimeout: 45 * time.Second, WriteBufferSize: 32 << 10,
		NetDialContext: httpclient.Dialer{}.DialContext,
	}
}

func (s *Slack) receive(ctx context.Context, cancel func(), client *socketmode.Client, set *SlackSettings) {
	tick := time.NewTicker(socketPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if s.o.Settings() != set {
				cancel()
				return
			}
		case e := <-client.Events:
			switch e.Type {
			case socketmode.EventTypeConnected:
				s.o.Connected(true)
			case socketmode.EventTypeConnectionError, socketmode.EventTypeDisconnect:
				s.o.Connected(false)
			case socketmode.EventTypeInteractive:
				s.interact(ctx, client, set, e.Request)
			case socketmode.EventTypeErrorBadMessage:
				s.o.Logger.Warn("ignored an unknown Socket Mode message from Slack")
			}
		}
	}
}

// interact takes one envelope. It is acknowledged once there is room for it: Slack
// sends another copy otherwise, and people see an error.
func (s *Slack) interact(ctx context.Context, client *socketmode.Client, set *SlackSettings, r *socketmode.Request) {
	if r == nil {
		return
	}
	c, ok, err := parseClick(r.Payload)
	if err != nil {
		s.o.Logger.Warn("ignored an invalid click from Slack", "err", err)
	}
	if err := client.AckCtx(ctx, r.EnvelopeID, nil); err != nil {
		return
	}
	if err == nil && ok {
		go func() {
			if !s.work(ctx, set, c) {
				s.o.Logger.Warn("dropped a click from Slack: too many concurrent clicks", "user", c.user,
					"incident", c.button.Incident)
			}
		}()
	}
}
