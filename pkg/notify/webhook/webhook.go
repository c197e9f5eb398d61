// Package webhook posts incidents to any HTTP service.
//
// It owns the body: in the shape of Alertmanager's webhook or as the user's template makes
// it, and shorter once it is refused. It leaves the request and the data to pkg/notify.
//
// Its one rule: a body that cannot be made, or is too large, is sent with less in it; and
// a URL from a file is a secret, in whatever form it comes back.
package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/alertmanager/template"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/httpclient"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/secretfile"
)

// Webhook posts an incident to any HTTP service, in the shape of Alertmanager's
// webhook or as a template of the user's makes it.
type Webhook struct {
	name        string
	fallback    string // the receiver it stands in for; "": none
	url         string
	urlFile     *notify.Secret
	token       *notify.Secret
	headers     map[string]string
	contentType string
	body        *notify.Template // nil: Alertmanager's JSON
	takes       []incident.Severity
	reference   notify.QuickReference
	client      *http.Client
}

var _ notify.Fallback = (*Webhook)(nil)

// New returns the receiver of a configured webhook, or what is wrong with its secrets or addresses.
func New(c config.Webhook, about notify.QuickReference) (*Webhook, error) {
	h := &Webhook{name: c.Name, fallback: c.FallbackFor, url: c.URL, headers: c.Headers,
		contentType: cmp.Or(c.ContentType, "application/json"), takes: c.Severities, reference: about,
		client: notify.HTTPClient()}
	for _, s := range []struct {
		file string
		to   **notify.Secret
	}{{c.URLFile, &h.urlFile}, {c.BearerTokenFile, &h.token}} {
		if s.file == "" {
			continue
		}
		secret, err := notify.NewSecret(s.file)
		if err != nil {
			return nil, err
		}
		*s.to = &secret
	}
	if c.Body != "" {
		t, err := notify.ParseTemplate(c.Body, about.Shared...)
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		h.body = t
	}
	if c.CAFile == "" {
		return h, nil
	}
	pool, err := secretfile.Authorities(c.CAFile)
	if err != nil {
		return nil, err
	}
	h.client.Transport = httpclient.NewTransport(httpclient.Options{RootCAs: pool})
	return h, nil
}

// Name is the name of the receiver in the configuration.
func (h *Webhook) Name() string { return h.name }

// FallbackFor names the receiver that this one stands in for.
func (h *Webhook) FallbackFor() string { return h.fallback }

// message is the body of Alertmanager's webhook, version 4.
type message struct {
	*template.Data
	Version         string `json:"version"`
	GroupKey        string `json:"groupKey"`
	TruncatedAlerts uint64 `json:"truncatedAlerts"`
}

// Notify posts the incident if the receiver is to know of its state.
func (h *Webhook) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	state := notify.Firing(i)
	if prev.State == "" && (state == "resolved" || i.Shared || !notify.Wanted(i, h.takes) && !i.Paged) {
		return prev, nil
	}
	d := notify.News(i)
	if prev.Digest == d {
		return prev, nil
	}
	status, err := h.send(ctx, i, state, notify.MaxText)
	if status == http.StatusRequestEntityTooLarge || status == http.StatusBadRequest {
		// What may be refused for its size is sent once more, with less in it.
		_, err = h.send(ctx, i, state, notify.MaxTextShort)
	}
	if err != nil {
		return prev, err
	}
	return incident.Receipt{Ref: i.ID, State: state, Digest: d, Severity: notify.Graver(prev.Severity, i.Severity)}, nil
}

// send returns the status of the answer, if there is one, and what it means.
func (h *Webhook) send(ctx context.Context, i incident.Incident, state string, limit int) (int, error) {
	data := notify.TemplateData(h.name, i, h.reference.Of(i), state, limit)
	body, err := json.Marshal(message{Data: data, Version: "4", GroupKey: "watchdog/" + i.ID})
	if err != nil {
		return 0, err
	}
	if h.body != nil {
		text, err := h.body.Execute(ctx, data)
		if err == nil && strings.Contains(h.contentType, "json") && !json.Valid([]byte(text)) {
			err = errors.New("the result is not valid JSON: pass texts through toJson, which escapes quotes")
		}
		if err != nil {
			// A page without its dress goes out all the same.
			text = fmt.Sprintf(`{"text":%s}`,
				quoted(fmt.Sprintf("%s\n%s\n(the body template of receiver %s failed: %v)", notify.Headline(i),
					notify.Next(i), h.name, err)))
		}
		body = []byte(text)
	}
	url := h.url
	if h.urlFile != nil {
		if url, err = h.urlFile.Reveal(); err != nil {
			return 0, err
		}
	}
	p := notify.Post{Receiver: h.name, Incident: i.ID, URL: url, Secret: h.urlFile != nil,
		Header: http.Header{"Content-Type": {h.contentType}}, Body: body}
	for k, v := range h.headers {
		p.Header.Set(k, v)
	}
	if h.token != nil {
		if p.Token, err = h.token.Reveal(); err != nil {
			return 0, err
		}
	}
	return p.Send(ctx, h.client)
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// Texts are the user's templates.
func Texts(c *config.Webhook) []notify.Text {
	return notify.Texts(notify.Text{Option: "body", Text: c.Body})
}
