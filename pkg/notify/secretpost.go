package notify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	neturl "net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/strutil"
)

// Post is one POST request of a receiver about an incident.
type Post struct {
	Receiver string // name of the receiver, for errors
	Incident string // ID of the incident, for errors
	URL      string
	Secret   bool   // the URL is a secret: no part of it is shown
	Token    string // bearer token; "": none
	Header   http.Header
	Body     []byte
}

// Send sends the request once, and returns the status of the response; 0: there is none. A status other than 2xx is a
// Failure; a 4xx is final, except 408 and 429. No secret is part of an error.
func (p Post) Send(ctx context.Context, client *http.Client) (status int, err error) {
	what := fmt.Sprintf("notify %s of incident %s", p.Receiver, p.Incident)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(p.Body))
	if err != nil {
		return 0, &Failure{Err: fmt.Errorf("%s: %w", what, p.hide(err)), Final: true}
	}
	req.Header.Set("User-Agent", "watchdog")
	maps.Copy(req.Header, p.Header)
	if p.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.Token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, p.hide(err))
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer))
	if resp.StatusCode/100 == 2 {
		return resp.StatusCode, nil
	}
	body := strutil.Shorten(strutil.Visible(Redact(string(text), append(p.secretParts(req.URL), p.Token)...)), 200)
	f := &Failure{Err: fmt.Errorf("%s: %s: %s", what, resp.Status, body)}
	f.Final = resp.StatusCode/100 < 5 && resp.StatusCode != http.StatusTooManyRequests &&
		resp.StatusCode != http.StatusRequestTimeout
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		f.After = time.Duration(n) * time.Second
	}
	return resp.StatusCode, f
}

// hide removes a secret URL from an error. An error of the client contains it in other forms than the file.
func (p Post) hide(err error) error {
	if !p.Secret {
		return err
	}
	var u *neturl.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return errors.New(Redact(err.Error(), p.URL))
}

// secretPart is the least length of a part of a URL that counts as a secret.
const secretPart = 6

// secretParts are the parts of a secret URL that a response may repeat, longest first.
func (p Post) secretParts(u *neturl.URL) []string {
	if !p.Secret {
		return nil
	}
	parts := []string{u.RequestURI(), u.RawQuery}
	for _, form := range []string{u.Path, u.EscapedPath()} {
		parts = append(append(parts, form), strings.Split(form, "/")...)
	}
	for name, values := range u.Query() {
		parts = append(append(parts, name), values...)
	}
	slices.SortFunc(parts, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return slices.DeleteFunc(parts, func(s string) bool { return len(s) < secretPart })
}

// Redact replaces secrets in a response: many servers repeat the request that they reject.
func Redact(text string, secrets ...string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "<redacted>")
		}
	}
	return text
}
