package recorders

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// Click is somebody's press of a button on one of the messages.
type Click struct {
	User    string
	Action  string // the button's action_id
	Value   string
	Channel string
	Message string // timestamp of the message
	ID      string // action_ts; another one for another press
}

// Payload is the interaction as Slack sends it, without what nobody here reads.
func (c Click) Payload() []byte {
	b, err := json.Marshal(map[string]any{
		"type": "block_actions", "api_app_id": "A0WATCHDOG", "team": map[string]string{"id": "T0SHOP",
			"domain": "shop"},
		"user": map[string]string{"id": c.User, "username": "root", "name": "root", "team_id": "T0SHOP"},
		"container": map[string]any{"type": "message", "message_ts": c.Message, "channel_id": c.Channel,
			"is_ephemeral": false},
		"channel": map[string]string{"id": c.Channel, "name": "incidents"}, "trigger_id": "1.2." +
			c.ID, "response_url": "https://hooks.slack.test/actions/1",
		"actions": []map[string]any{{"type": "button", "action_id": c.Action, "block_id": "buttons", "value": c.Value,
			"action_ts": c.ID, "text": map[string]any{"type": "plain_text", "text": "A button"}}},
	})
	if err != nil {
		return nil // strings encode
	}
	return b
}

// Request is the click as Slack posts it, signed at a moment.
func (c Click) Request(ctx context.Context, to, secret string, at time.Time) (*http.Request, error) {
	body := url.Values{"payload": {string(c.Payload())}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(m, "v0:%s:%s", stamp, body)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Slack-Request-Timestamp", stamp)
	req.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(m.Sum(nil)))
	return req, nil
}

// Button finds the newest button with an action on a message, as somebody sees it who
// looks at the channel now.
func (s Snapshot) Button(message, action string) (Click, error) {
	var newest *Request
	for _, q := range s.Of(Slack) {
		if q.Key == message && (q.Action == "post" || q.Action == "update") {
			newest = &q
		}
	}
	if newest == nil {
		return Click{}, fmt.Errorf("there is no message %s", message)
	}
	var fields map[string]string
	var blocks []struct {
		Elements []struct {
			ActionID string `json:"action_id"`
			Value    string `json:"value"`
		} `json:"elements"`
	}
	if err := json.Unmarshal(newest.Body, &fields); err != nil {
		return Click{}, err
	}
	if err := json.Unmarshal([]byte(fields["blocks"]), &blocks); err != nil {
		return Click{}, err
	}
	for _, b := range blocks {
		for _, e := range b.Elements {
			if e.ActionID == action {
				return Click{Action: action, Value: e.Value, Channel: slackChannel(fields["channel"]),
					Message: message}, nil
			}
		}
	}
	return Click{}, fmt.Errorf("message %s has no button %s", message, action)
}

// socket is one connection of Socket Mode.
type socket struct {
	conn *websocket.Conn
	acks chan string
	gone chan struct{}
}

// openSocket is apps.connections.open: it takes an app-level token and returns where
// to connect to, once.
func (r *Recorder) openSocket(w http.ResponseWriter, req *http.Request) {
	if !strings.HasPrefix(req.Header.Get("Authorization"), "Bearer xapp-") {
		answer(w, http.StatusOK, slackNo("invalid_auth").body)
		return
	}
	answer(w, http.StatusOK, map[string]any{"ok": true, "url": "ws://" + req.Host + "/slack/socket?ticket=1"})
}

// socket is the other end of Socket Mode.
func (r *Recorder) socket(w http.ResponseWriter, req *http.Request) {
	// slack-go says that it comes from Slack's own site.
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(w, req, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	s := &socket{conn: conn, acks: make(chan string, 16), gone: make(chan struct{})}
	defer close(s.gone)
	if conn.WriteJSON(map[string]any{"type": "hello", "num_connections": 1,
		"connection_info": map[string]string{"app_id": "A0WATCHDOG"},
		"debug_info":      map[string]any{"host": "applink-1"}}) != nil {
		return
	}
	r.mu.Lock()
	r.sockets = append(r.sockets, s)
	close(r.news)
	r.news = make(chan struct{})
	r.mu.Unlock()
	go s.ping()
	for {
		_, b, err := conn.ReadMessage()
		if err != nil {
			return
		}
		var ack struct {
			EnvelopeID string `json:"envelope_id"`
		}
		if json.Unmarshal(b, &ack) == nil && ack.EnvelopeID != "" {
			select {
			case s.acks <- ack.EnvelopeID:
			default:
			}
		}
	}
}

// ping shows that this end is there, as Slack does every few seconds.
func (s *socket) ping() {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.gone:
			return
		case now := <-tick.C:
			if s.conn.WriteControl(websocket.PingMessage, nil, now.Add(time.Second)) != nil {
				return
			}
		}
	}
}

// open returns the newest connection that still stands.
func (r *Recorder) open() (*socket, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.sockets) - 1; i >= 0; i-- {
		select {
		case <-r.sockets[i].gone:
		default:
			return r.sockets[i], r.news
		}
	}
	return nil, r.news
}

// ClickBySocket sends a click by the newest connection, waits for one if there is
// none, and returns once it was acknowledged.
func (r *Recorder) ClickBySocket(ctx context.Context, c Click) error {
	for {
		s, news := r.open()
		if s == nil {
			select {
			case <-news:
				continue
			case <-ctx.Done():
				return fmt.Errorf("wait for a socket: %w", ctx.Err())
			}
		}
		r.mu.Lock()
		id := r.id("envelope-")
		envelope, err := json.Marshal(map[string]any{"envelope_id": id, "type": "interactive",
			"accepts_response_payload": true, "payload": json.RawMessage(c.Payload())})
		if err == nil {
			err = s.conn.WriteMessage(websocket.TextMessage, bytes.TrimSpace(envelope))
		}
		r.mu.Unlock()
		if err != nil {
			return fmt.Errorf("send a click by the socket: %w", err)
		}
		for {
			select {
			case got := <-s.acks:
				if got == id {
					return nil
				}
			case <-s.gone:
				return errors.New("the socket closed before the click was acknowledged")
			case <-ctx.Done():
				return fmt.Errorf("wait for an acknowledgement: %w", ctx.Err())
			}
		}
	}
}

// CutSockets breaks every connection of Socket Mode. None of them is open from then on:
// what reads from one learns of its end only later.
func (r *Recorder) CutSockets() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sockets {
		_ = s.conn.Close()
	}
	r.sockets = nil
}
