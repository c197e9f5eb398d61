package recorder

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/engine"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/redact"
)

// refusing is a store that answers as it is told.
type refusing struct {
	engine.Store
	err error
}

func (r *refusing) SaveIncident(context.Context, incident.Incident, string) (string, error) {
	return "1", r.err
}

// An incident that cannot be stored for a minute is noticed, also while others can be.
func TestAnIncidentThatCannotBeStoredIsNoticed_W16(t *testing.T) {
	no, conflict := errors.New("patch incidents/status: forbidden"), incident.ErrConflict
	type save struct {
		after time.Duration
		id    string
		err   error
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx   context.Context
		saves []save
		asked time.Duration // after the last of them
		want  string
	}{
		"it fails for less than a minute": {saves: []save{{0, "a", no},
			{50 * time.Second, "a", no}}},
		"it fails for a minute": {saves: []save{{0, "a", no},
			{30 * time.Second, "a", no}, {30 * time.Second, "a", no}},
			want: "incident a could not be stored since 12:00:00 UTC"},
		"it fails for a minute, and others do not": {saves: []save{{0, "a", no},
			{30 * time.Second, "b", nil}, {30 * time.Second, "a", no}, {0, "b", nil}}, want: "incident a"},
		"it failed for a minute and is stored": {saves: []save{{0, "a", no}, {time.Minute, "a", no},
			{time.Second, "a", nil}}},
		"another leader wrote it, and it is read again": {saves: []save{{0, "a", no}, {time.Minute, "a", no},
			{time.Second, "a", conflict}}},
		"nobody tries it any more": {saves: []save{{0, "a", no}, {time.Minute, "a", no}},
			asked: 3 * time.Minute},
		"it failed long ago, and once more": {saves: []save{{0, "a", no}, {time.Hour, "a", no}}},
		"this replica ceased to lead while the answer was due": {ctx: ended,
			saves: []save{{0, "a", no}, {time.Minute, "a", no}}},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)
			inner := &refusing{}
			s := (&Recorder{o: Options{Secrets: &redact.Known{}}}).Store(inner, func() time.Time { return now })
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			for _, x := range tt.saves {
				now, inner.err = now.Add(x.after), x.err
				if _, err := s.SaveIncident(ctx, incident.Incident{ID: x.id}, "1"); !errors.Is(err, x.err) {
					t.Error(err)
				}
			}
			now = now.Add(tt.asked)
			if why := s.Unstored(); (why == "") != (tt.want == "") || !strings.HasPrefix(why, tt.want) {
				t.Errorf("%q, want %q", why, tt.want)
			}
		})
	}
}
