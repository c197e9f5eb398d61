package statuspage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/strutil"
)

// Client speaks Statuspage's API, no faster than it allows: one request a second
// for each token, whatever they are about (F-94).
type Client struct {
	client *http.Client
	url    string
	id     string
	token  notify.Secret
	now    func() time.Time
	pace   *pace
}

// pace is what a configuration hands on to the next one.
type pace struct {
	limit *rate.Limiter

	mu    sync.Mutex
	quiet time.Time // the other side asked for quiet until then
}

// requestEvery is a little more than the second that Statuspage asks for;
// quietFor how long it is left alone when it does not say.
const (
	requestEvery = 1100 * time.Millisecond
	quietFor     = time.Minute
)

// SetPace changes how often the page may be asked, for tests that play hours.
func (p *Client) SetPace(every rate.Limit) { p.pace.limit.SetLimit(every) }

func newPace() *pace { return &pace{limit: rate.NewLimiter(rate.Every(requestEvery), 1)} }

func (p *pace) hush(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until.After(p.quiet) {
		p.quiet = until
	}
}

func (p *pace) left(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quiet.Sub(now)
}

// ours marks what watchdog posted, so that it finds it again: after an answer that
// was lost, after a restart, from another replica. It names nothing internal.
type ours struct {
	Incident    string `json:"incident,omitempty"`    // its random id
	Component   string `json:"component,omitempty"`   // the page's own id
	Impact      string `json:"impact,omitempty"`      // what the incident alone means for it
	Maintenance string `json:"maintenance,omitempty"` // hash of the key
}

// metadata is Statuspage's place for such marks.
type metadata struct {
	Watchdog ours `json:"watchdog"`
}

// entry is an incident or a maintenance as the page has it.
type entry struct {
	ID         string          `json:"id"`
	Status     string          `json:"status"`
	RawMeta    json.RawMessage `json:"metadata"`
	Components []component     `json:"components"`
	UpdatedAt  time.Time       `json:"updated_at"`
}

// ours is the mark; zero: somebody else posted it.
func (p entry) ours() ours {
	var m metadata
	_ = json.Unmarshal(p.RawMeta, &m) // anything may stand there
	return m.Watchdog
}

// maintenance reports whether it is one.
func (p entry) maintenance() bool {
	return p.Status == scheduled || p.Status == inProgress || p.Status == verifying || p.Status == completed
}

// component is a part of the service as the page shows it.
type component struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
}

const (
	perPage  = 100 // the most that the API gives at once
	maxPages = 5   // Statuspage itself allows 100 open incidents
)

// list reads all of a list.
func (p *Client) list(ctx context.Context, what string) ([]entry, error) {
	var all []entry
	for n := 1; n <= maxPages; n++ {
		var some []entry
		if err := p.send(ctx, http.MethodGet, fmt.Sprintf("%s/incidents/%s?page=%d&per_page=%d", p.path(), what, n,
			perPage), nil, &some); err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < perPage {
			break
		}
	}
	return all, nil
}

func (p *Client) unresolved(ctx context.Context) ([]entry, error) { return p.list(ctx, "unresolved") }

// lastly is when something of ours about the component last changed, as the page
// itself remembers it.
func (p *Client) lastly(ctx context.Context, part string) (time.Time, error) {
	var last time.Time
	var newest []entry
	err := p.send(ctx, http.MethodGet, fmt.Sprintf("%s/incidents?page=1&per_page=%d", p.path(), perPage), nil, &newest)
	for _, e := range newest {
		if o := e.ours(); o.Incident != "" && o.Component == part && e.UpdatedAt.After(last) {
			last = e.UpdatedAt
		}
	}
	return last, err
}

func (p *Client) path() string { return "/v1/pages/" + p.id }

// put creates (id empty) or updates an incident and returns its id.
func (p *Client) put(ctx context.Context, id string, body map[string]any) (string, error) {
	method, path := http.MethodPost, p.path()+"/incidents"
	if id != "" {
		method, path = http.MethodPatch, path+"/"+id
	}
	var answer entry
	if err := p.send(ctx, method, path, map[string]any{"incident": body}, &answer); err != nil {
		return "", err
	}
	if id == "" && answer.ID == "" {
		return "", fmt.Errorf("status page: %s %s: the response has no id", method, path)
	}
	if id != "" {
		return id, nil
	}
	return answer.ID, nil
}

func (p *Client) send(ctx context.Context, method, path string, body, answer any) error {
	if left := p.pace.left(p.now()); left > 0 {
		return &notify.Failure{Err: fmt.Errorf("status page: %s %s: not sent: rate limited by the page for another %s",
			method, path, left.Round(time.Second)), After: left}
	}
	token, err := p.token.Reveal()
	if err != nil {
		return err
	}
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, sent)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "OAuth "+token)
	// Without it Statuspage reads the body as a form (runbook defect 18).
	req.Header.Set("Content-Type", "application/json")
	if err := p.pace.limit.Wait(ctx); err != nil {
		return fmt.Errorf("status page: %s %s: not sent: too many queued requests: %w", method, path, err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("status page: %s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, notify.MaxAnswer))
	if resp.StatusCode/100 != 2 {
		return p.refused(resp, method, path, notify.Redact(string(text), token))
	}
	if err == nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		return fmt.Errorf("status page: %s %s: response: %w", method, path, err)
	}
	return nil
}

func (p *Client) refused(resp *http.Response, method, path, text string) error {
	f := &notify.Failure{Err: fmt.Errorf("status page: %s %s: %s: %s", method, path, resp.Status,
		strutil.Shorten(strutil.Visible(text), 200))}
	limited := resp.StatusCode == 420 || resp.StatusCode == http.StatusTooManyRequests
	f.Final = resp.StatusCode/100 == 4 && !limited && resp.StatusCode != http.StatusRequestTimeout
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n >= 0 {
		f.After = min(time.Duration(n)*time.Second, time.Hour)
	} else if limited {
		f.After = quietFor
	}
	if limited {
		p.pace.hush(p.now().Add(f.After)) // the limit is the token's, not the incident's
	}
	return f
}
