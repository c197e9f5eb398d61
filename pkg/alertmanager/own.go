package alertmanager

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// rounds is how often one call looks and writes before it gives up.
	rounds = 3
	// lateAnswer is what a peer is given to finish a request whose answer was lost.
	lateAnswer = time.Second
)

// ErrNone says that no own silence with the key is in force or pending.
var ErrNone = errors.New("silence not found")

// held is an own silence and the peers that have it.
type held struct {
	Silence
	at []string
}

// Own returns whether an installation with the author's name made a silence.
func Own(author string) func(Silence) bool {
	return func(s Silence) bool { return s.CreatedBy == author && strings.Contains(s.Comment, markBegin) }
}

// own looks at all peers for own silences with the key that are not over, those
// that last longest first. seen are the peers that answered.
func (c *Client) own(ctx context.Context, key string) (found []held, seen []string, err error) {
	type answer struct {
		silences []Silence
		err      error
	}
	answers := make([]answer, len(c.peers))
	var wg sync.WaitGroup
	for i, peer := range c.peers {
		wg.Go(func() {
			// Also those that are over: another peer may not have heard yet that one is.
			// What is not understood is not own: watchdog writes what it understands.
			silences, _, err := c.silencesOf(ctx, peer, "")
			answers[i] = answer{silences, err}
		})
	}
	wg.Wait()
	byID := map[string]*held{}
	var errs []error
	for i, a := range answers {
		if a.err != nil {
			errs = append(errs, a.err)
			continue
		}
		seen = append(seen, c.peers[i])
		for _, s := range a.silences {
			if s.CreatedBy != c.author || !strings.HasSuffix(s.Comment, mark(key)) {
				continue
			}
			h := byID[s.ID]
			if h == nil {
				h = &held{Silence: s}
				byID[s.ID] = h
			} else if s.UpdatedAt.After(h.UpdatedAt) {
				h.Silence = s // news travels between the peers
			}
			h.at = append(h.at, c.peers[i])
		}
	}
	if len(seen) == 0 {
		return nil, nil, errors.Join(errs...)
	}
	now := c.now()
	for _, h := range byID {
		if h.State != expired && now.Before(h.EndsAt) {
			found = append(found, *h)
		}
	}
	slices.SortFunc(found, func(a, b held) int { return cmp.Or(b.EndsAt.Compare(a.EndsAt), cmp.Compare(a.ID, b.ID)) })
	return found, seen, nil
}

// step does what is to be done about what was found.
type step func(found []held, seen []string) (Silence, error)

// settle looks and writes until it is known that all is done. After a write of unknown
// outcome nothing is written before it was looked again, at the peer that it was
// sent to.
func (c *Client) settle(ctx context.Context, key string, next step) (Silence, error) {
	var last error
	doubtful := "" // the peer that may have done what it was asked
	for range rounds {
		if last != nil {
			if err := pause(ctx, c.moment); err != nil {
				return Silence{}, errors.Join(err, last)
			}
		}
		found, seen, err := c.own(ctx, key)
		if err != nil {
			return Silence{}, errors.Join(last, err)
		}
		if doubtful != "" && len(found) == 0 && !slices.Contains(seen, doubtful) {
			break
		}
		s, err := next(found, seen)
		var f *failure
		switch {
		case err == nil:
			return s, nil
		case !errors.As(err, &f) || f.final():
			return Silence{}, err
		case !f.unsent:
			doubtful = f.peer
		}
		last = err
	}
	return Silence{}, fmt.Errorf("outcome unknown; watchdog looks for the silence before it retries: %w", last)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Create makes the silence, or returns the own one with the key that is there
// already. It may be called again and again: there will be one.
func (c *Client) Create(ctx context.Context, w Window) (Silence, error) {
	if err := w.check(c.now()); err != nil {
		return Silence{}, err
	}
	s, err := c.settle(ctx, w.Key, func(found []held, seen []string) (Silence, error) {
		if len(found) > 0 {
			// A write that came later than it was waited for has made a second one. It
			// ends no later than the first; ending it early is tidiness.
			for _, surplus := range found[1:] {
				_ = c.expire(ctx, surplus)
			}
			return found[0].Silence, nil
		}
		return c.post(ctx, w.silence(c.author, c.now()), seen)
	})
	if err != nil {
		return Silence{}, fmt.Errorf("create silence %s: %w", w.Key, err)
	}
	return s, nil
}

// Extend lets the own silence with the key end later; it never ends it earlier.
// The id may be another one afterwards.
func (c *Client) Extend(ctx context.Context, key string, until time.Time) (Silence, error) {
	s, err := c.settle(ctx, key, func(found []held, _ []string) (Silence, error) {
		switch {
		case len(found) == 0:
			return Silence{}, ErrNone
		case !found[0].EndsAt.Before(until.Truncate(time.Millisecond)): // Alertmanager knows no less than a millisecond
			return found[0].Silence, nil
		}
		longer := found[0].Silence
		longer.EndsAt = until.UTC()
		return c.post(ctx, longer, found[0].at)
	})
	if err != nil {
		return Silence{}, fmt.Errorf("extend silence %s to %s: %w", key, until.UTC().Format(time.RFC3339), err)
	}
	return s, nil
}

// Expire ends every own silence with the key. If there is none, it is done.
func (c *Client) Expire(ctx context.Context, key string) error {
	_, err := c.settle(ctx, key, func(found []held, _ []string) (Silence, error) {
		for _, h := range found {
			if err := c.expire(ctx, h); err != nil {
				return Silence{}, err
			}
		}
		return Silence{}, nil
	})
	if err != nil {
		return fmt.Errorf("expire silence %s: %w", key, err)
	}
	return nil
}

// post sends a silence to the first of the peers that takes it.
func (c *Client) post(ctx context.Context, s Silence, peers []string) (Silence, error) {
	body, err := s.encode()
	if err != nil {
		return Silence{}, err
	}
	text, peer, err := c.write(ctx, http.MethodPost, "/api/v2/silences", body, peers)
	if err != nil {
		return Silence{}, err
	}
	var answer struct {
		ID string `json:"silenceID"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.ID == "" {
		return Silence{}, &failure{peer: peer, err: fmt.Errorf("created a silence but returned no id: %s",
			plain(string(text[:min(len(text), 1000)])))}
	}
	s.ID = answer.ID
	return s, nil
}

func (c *Client) expire(ctx context.Context, h held) error {
	_, _, err := c.write(ctx, http.MethodDelete, "/api/v2/silence/"+h.ID, nil, h.at)
	var f *failure
	if errors.As(err, &f) && f.status == http.StatusNotFound {
		return nil // it is over and forgotten
	}
	return err
}

// write sends a request to the first of the peers that can be reached. One that
// was reached and did not answer well may have done it: no other is asked then.
func (c *Client) write(ctx context.Context, method, path string, body []byte, peers []string) (text []byte, peer string,
	err error) {
	var all []error
	for _, peer := range peers {
		text, err := c.do(ctx, peer, method, path, body)
		var f *failure
		if err == nil || !errors.As(err, &f) || !f.unsent {
			return text, peer, err
		}
		all = append(all, err)
	}
	return nil, "", errors.Join(all...)
}
