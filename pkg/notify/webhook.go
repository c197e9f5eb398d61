package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/template"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/httpclient"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/secretfile"
	"watchdog.io/watchdog/pkg/strutil"
)

// hook posts an incident to any HTTP service, in the shape of Alertmanager's
// webhook or as a template of the user's makes it.
type hook struct {
	name        string
	fallback    string // the receiver it stands in for; "": none
	url         string
	urlFile     *Secret
	token       *Secret
	headers     map[string]string
	contentType string
	body        *bounded // nil: Alertmanager's JSON
	takes       []incident.Severity
	about       about
	client      *http.Client
}

var _ Fallback = (*hook)(nil)

func newHook(c config.Webhook, about about) (*hook, error) {
	h := &hook{name: c.Name, fallback: c.FallbackFor, url: c.URL, headers: c.Headers, contentType: cmp.Or(c.ContentType, "application/json"), takes: c.Severities, about: about, client: httpClient()}
	for _, s := range []struct {
		file string
		to   **Secret
	}{{c.URLFile, &h.urlFile}, {c.BearerTokenFile, &h.token}} {
		if s.file == "" {
			continue
		}
		secret, err := NewSecret(s.file)
		if err != nil {
			return nil, err
		}
		*s.to = &secret
	}
	if c.Body != "" {
		t, err := parseBody(c.Body, about.shared...)
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

func (h *hook) Name() string { return h.name }

// FallbackFor names the receiver that this one stands in for.
func (h *hook) FallbackFor() string { return h.fallback }

// message is the body of Alertmanager's webhook, version 4.
type message struct {
	*template.Data
	Version         string `json:"version"`
	GroupKey        string `json:"groupKey"`
	TruncatedAlerts uint64 `json:"truncatedAlerts"`
}

func (h *hook) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	state := firing(i)
	if prev.State == "" && (state == "resolved" || i.Shared || !wanted(i, h.takes) && !i.Paged) {
		return prev, nil
	}
	d := news(i)
	if prev.Digest == d {
		return prev, nil
	}
	status, err := h.send(ctx, i, state, maxText)
	if status == http.StatusRequestEntityTooLarge || status == http.StatusBadRequest {
		// What may be refused for its size is sent once more, with less in it.
		_, err = h.send(ctx, i, state, maxTextShort)
	}
	if err != nil {
		return prev, err
	}
	return incident.Receipt{Ref: i.ID, State: state, Digest: d, Severity: graver(prev.Severity, i.Severity)}, nil
}

// Limits of one text in a body: at first, and after the body was refused for its size.
const (
	maxText      = 4096
	maxTextShort = 120
)

// send returns the status of the answer, if there is one, and what it means.
func (h *hook) send(ctx context.Context, i incident.Incident, state string, limit int) (int, error) {
	data := hookData(h.name, i, h.about.of(i), state, limit)
	body, err := json.Marshal(message{Data: data, Version: "4", GroupKey: "watchdog/" + i.ID})
	if err != nil {
		return 0, err
	}
	if h.body != nil {
		text, err := h.body.execute(ctx, data)
		if err == nil && strings.Contains(h.contentType, "json") && !json.Valid([]byte(text)) {
			err = errors.New("what it makes is no JSON: a text needs toJson, or a quote in it ends the string")
		}
		if err != nil {
			// A page without its dress goes out all the same.
			text = fmt.Sprintf(`{"text":%s}`, quoted(fmt.Sprintf("%s\n%s\n(the body template of receiver %s failed: %v)", headline(i), next(i), h.name, err)))
		}
		body = []byte(text)
	}
	url := h.url
	if h.urlFile != nil {
		if url, err = h.urlFile.read(); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, &Failure{Err: fmt.Errorf("tell %s of incident %s: %w", h.name, i.ID, h.hide(err, url)), Final: true}
	}
	req.Header.Set("Content-Type", h.contentType)
	req.Header.Set("User-Agent", "watchdog")
	for k, v := range h.headers {
		req.Header.Set(k, v)
	}
	if h.token != nil {
		token, err := h.token.read()
		if err != nil {
			return 0, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("tell %s of incident %s: %w", h.name, i.ID, h.hide(err, url))
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode/100 == 2 {
		return resp.StatusCode, nil
	}
	f := &Failure{Err: fmt.Errorf("tell %s of incident %s: %s: %s", h.name, i.ID, resp.Status, strutil.Shorten(strutil.Visible(h.without(string(text), req.URL)), 200))}
	f.Final = resp.StatusCode/100 < 5 && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		f.After = time.Duration(n) * time.Second
	}
	return resp.StatusCode, f
}

// hide takes a URL from a file out of an error: it is a secret. The client's own
// errors hold it in other forms than the file's.
func (h *hook) hide(err error, url string) error {
	var u *neturl.Error
	if h.urlFile == nil {
		return err
	}
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), url, "<redacted>"))
}

// secretPart is from how long on a part of a URL can be a secret.
const secretPart = 6

// without takes the parts of a URL from a file out of what the other side says: many
// servers repeat what they do not find.
func (h *hook) without(text string, u *neturl.URL) string {
	if h.urlFile == nil {
		return text
	}
	parts := []string{u.RequestURI(), u.RawQuery}
	for _, form := range []string{u.Path, u.EscapedPath()} {
		parts = append(append(parts, form), strings.Split(form, "/")...)
	}
	for name, values := range u.Query() {
		parts = append(append(parts, name), values...)
	}
	slices.SortFunc(parts, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, p := range parts {
		if len(p) >= secretPart {
			text = strings.ReplaceAll(text, p, "<redacted>")
		}
	}
	return text
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// hookData is the incident in the words of Alertmanager: one alert per rule.
func hookData(receiver string, i incident.Incident, quick about, state string, limit int) *template.Data {
	text := func(s string) string { return strutil.Shorten(strutil.Visible(s), limit) }
	common := template.KV{"incident": i.ID, "target": i.Target.Name, "namespace": i.Target.Namespace, "workload": i.Target.Workload, "incident_severity": string(i.Severity)}
	notes := template.KV{"headline": text(headline(i)), "next": text(next(i)), "phase": status(i), "why": "watchdog why " + i.ID}
	var links []string
	for _, l := range quick.links {
		links = append(links, l.Name+": "+l.URL)
	}
	for name, v := range map[string]string{"contacts": strings.Join(quick.contacts, "; "), "links": strings.Join(links, "; "), "reason": reason(i), "answer": answered(i), "maintenance": maintained(i), "done": strings.Join(actions(i), "; ")} {
		if v != "" {
			notes[name] = text(v)
		}
	}
	d := &template.Data{Receiver: receiver, Status: state, GroupLabels: template.KV{"incident": i.ID}, CommonLabels: common, CommonAnnotations: notes, RouteLabels: template.KV{}, Alerts: template.Alerts{}}
	for _, a := range i.Alerts {
		x := template.Alert{Status: "resolved", Labels: template.KV{"alertname": a.Rule, "severity": string(a.Severity)}, Annotations: template.KV{"summary": text(cmp.Or(a.Was, a.Reason))}, StartsAt: a.ActiveAt, Fingerprint: digest([]string{i.ID, a.Rule})}
		if a.Firing {
			x.Status = "firing"
		} else {
			x.EndsAt = cmp.Or(i.ResolvedAt, a.EvaluatedAt)
		}
		if limit > maxTextShort {
			x.GeneratorURL = a.Link
			if o := object(a); o != "" {
				x.Annotations["labels"] = text(o)
			}
			for k, v := range a.Labels {
				if _, ours := x.Labels[k]; !ours {
					x.Labels[k] = text(v)
				}
			}
			for k, v := range a.Annotations {
				if _, ours := x.Annotations[k]; !ours {
					x.Annotations[k] = text(v)
				}
			}
		}
		for k, v := range common {
			if _, own := x.Labels[k]; !own || v != "" {
				x.Labels[k] = v
			}
		}
		for k, v := range notes {
			x.Annotations[k] = v
		}
		if d.Alerts = append(d.Alerts, x); limit <= maxTextShort {
			break
		}
	}
	return d
}
