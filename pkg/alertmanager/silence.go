package alertmanager

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"watchdog.io/watchdog/pkg/strutil"
)

// Silence is one silence as Alertmanager has it.
type Silence struct {
	ID        string
	Matchers  labels.Matchers
	StartsAt  time.Time
	EndsAt    time.Time
	UpdatedAt time.Time
	CreatedBy string
	Comment   string
	// State is Alertmanager's own word at the moment it was asked: active, pending or expired.
	State string
}

// The states of a silence.
const (
	active  = "active"
	pending = "pending"
	expired = "expired"
)

// Matches reports whether an alert with these labels is silenced while the
// silence is in force. A label that the alert has not is empty.
func (s Silence) Matches(alert map[string]string) bool {
	for _, m := range s.Matchers {
		if !m.Matches(alert[m.Name]) {
			return false
		}
	}
	return len(s.Matchers) > 0 // without a matcher it would silence everything
}

// in reports whether the silence is in force at a moment after it was read.
func (s Silence) in(at time.Time) bool {
	return s.State != expired && at.Before(s.EndsAt) && (s.State == active || !at.Before(s.StartsAt))
}

// String says for the record who silenced what until when.
func (s Silence) String() string {
	return fmt.Sprintf("silenced by %s until %s by %s %q", plain(s.ID), s.EndsAt.UTC().Format(time.RFC3339),
		cmp.Or(plain(s.CreatedBy), "unknown"), plain(s.Comment))
}

// maxShown bounds what is shown of a text that somebody else wrote.
const maxShown = 200

// plain is foreign text for one line of a terminal.
func plain(s string) string { return strutil.Shorten(strutil.Line(s), maxShown) }

// wire is a silence in JSON.
type wire struct {
	ID       string            `json:"id,omitempty"`
	Matchers []json.RawMessage `json:"matchers"`
	StartsAt time.Time         `json:"startsAt"`
	EndsAt   time.Time         `json:"endsAt"`
	Updated  *time.Time        `json:"updatedAt,omitempty"`
	By       string            `json:"createdBy"`
	Comment  string            `json:"comment"`
	Status   *struct {
		State string `json:"state"`
	} `json:"status,omitempty"`
}

// decode reads the list of silences. One that cannot be understood is left out,
// and said: it silences nothing.
func decode(body []byte) (all []Silence, odd error, err error) {
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, nil, fmt.Errorf("response is not a list of silences: %w", err)
	}
	if list == nil {
		return nil, nil, errors.New("response is not a list of silences: null")
	}
	var odds []error
	for _, one := range list {
		s, err := understand(one)
		if err != nil {
			odds = append(odds, err)
			continue
		}
		all = append(all, s)
	}
	if len(odds) > 0 {
		odd = fmt.Errorf("ignoring %d of %d silences that are invalid; the first: %w", len(odds), len(list), odds[0])
	}
	return all, odd, nil
}

func understand(one json.RawMessage) (Silence, error) {
	var w wire
	if err := json.Unmarshal(one, &w); err != nil {
		return Silence{}, err
	}
	s := Silence{ID: w.ID, StartsAt: w.StartsAt.UTC(), EndsAt: w.EndsAt.UTC(), CreatedBy: w.By, Comment: w.Comment}
	if w.Updated != nil {
		s.UpdatedAt = w.Updated.UTC()
	}
	if w.Status != nil {
		s.State = w.Status.State
	}
	for _, text := range w.Matchers {
		m := new(labels.Matcher)
		if err := m.UnmarshalJSON(text); err != nil || m.Name == "" {
			return Silence{}, fmt.Errorf("silence %s: matcher %.100s: %w", plain(s.ID), text,
				cmp.Or(err, errors.New("no label")))
		}
		s.Matchers = append(s.Matchers, m)
	}
	switch {
	case s.ID == "" || len(s.Matchers) == 0 || s.EndsAt.IsZero():
		return Silence{}, fmt.Errorf("silence %q: id, matchers and endsAt are required", plain(s.ID))
	case s.State != active && s.State != pending && s.State != expired:
		return Silence{}, fmt.Errorf("silence %s: unknown state %q", plain(s.ID), plain(s.State))
	}
	return s, nil
}

// encode is the silence as it is posted; with an id it replaces the one of that id.
func (s Silence) encode() ([]byte, error) {
	w := wire{ID: s.ID, StartsAt: s.StartsAt.UTC(), EndsAt: s.EndsAt.UTC(), By: s.CreatedBy, Comment: s.Comment}
	for _, m := range s.Matchers {
		b, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		w.Matchers = append(w.Matchers, b)
	}
	return json.Marshal(w)
}

// Window is a silence that watchdog wants to be there.
type Window struct {
	// Key tells the silence from all others of this installation, for as long as it
	// is in force: the name of a maintenance window.
	Key      string
	Comment  string
	Matchers labels.Matchers
	StartsAt time.Time // zero: now
	EndsAt   time.Time
}

var keyShape = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._/-]{0,127}$`)

// mark is the end of the comment of a silence with the key.
func mark(key string) string { return markBegin + key + "]" }

const markBegin = " [watchdog "

func (w Window) check(now time.Time) error {
	switch {
	case !keyShape.MatchString(w.Key):
		return fmt.Errorf("invalid silence key %q: use letters, digits, \".\", \"_\", \"/\" and \"-\" (at most 128)",
			w.Key)
	case !w.EndsAt.After(now) || !w.EndsAt.After(w.StartsAt):
		return fmt.Errorf("silence %s: end %s is in the past or before the start", w.Key,
			w.EndsAt.UTC().Format(time.RFC3339))
	case !slices.ContainsFunc(w.Matchers, func(m *labels.Matcher) bool { return m != nil && !m.Matches("") }):
		return fmt.Errorf("silence %s: at least one matcher must not match the empty string; otherwise it silences "+
			"everything", w.Key)
	}
	return nil
}

func (w Window) silence(author string, now time.Time) Silence {
	if w.StartsAt.IsZero() {
		w.StartsAt = now
	}
	return Silence{Matchers: w.Matchers, StartsAt: w.StartsAt, EndsAt: w.EndsAt, CreatedBy: author, Comment: w.Comment +
		mark(w.Key)}
}
