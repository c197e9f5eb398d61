package decision

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
)

// Scribe records the decisions on one incident. The zero value has recorded none; nil
// records nothing. It is for one goroutine.
type Scribe struct {
	given map[string]any // the input of the last Step, with the state after it
	state string         // sum of that state
	since int            // decisions since the last full one
	steps []step         // not recorded yet
	texts []string
	at    time.Time
}

// Step is incident.Step.
func (s *Scribe) Step(i incident.Incident, e incident.Event, p incident.Policy) (incident.Incident, []incident.Effect) {
	if s == nil {
		return incident.Step(i, e, p)
	}
	var asked *response
	if p.Response != nil {
		asked = &response{of: p.Response}
		p.Response = asked
	}
	next, effects := incident.Step(i, e, p)
	if decides(i, next) {
		s.note(i, e, p, asked, next, effects)
	}
	return next, effects
}

// note keeps a Step until it is recorded.
func (s *Scribe) note(i incident.Incident, e incident.Event, p incident.Policy, asked *response, next incident.Incident,
	effects []incident.Effect) {
	x, err := s.write(i, e, p, asked, next, effects)
	if err != nil {
		s.given, s.state = nil, ""
		x = step{Left: fmt.Sprintf("cannot encode event %s: %v", nameOf(e), err)}
	}
	if s.at = next.UpdatedAt; len(s.steps) == 0 {
		s.texts = nil
	}
	s.steps, s.texts = append(s.steps, x), append(s.texts, nameOf(e)+": "+outcomeOf(next, effects, "").String())
}

func (s *Scribe) write(i incident.Incident, e incident.Event, p incident.Policy, asked *response,
	next incident.Incident, effects []incident.Effect) (_ step, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	p.Response = nil
	given := map[string]any{itsKind: nameOf(e)}
	put := func(name string, v any) error {
		t, err := tree(v)
		given[name] = t
		return err
	}
	if err := put(itsState, reduced(i)); err != nil {
		return step{}, err
	}
	if err := put(itsPolicy, p); err != nil {
		return step{}, err
	}
	if asked != nil {
		if err := put(itsAsked, asked); err != nil {
			return step{}, err
		}
	}
	for _, name := range []string{itsTick, itsEvent} {
		if last, had := s.given[name]; had {
			given[name] = last
		}
	}
	name := itsEvent
	if _, is := e.(incident.Tick); is {
		name = itsTick
	}
	if err := put(name, e); err != nil {
		return step{}, err
	}
	after, err := tree(reduced(next))
	if err != nil {
		return step{}, err
	}
	x := step{After: s.state, Full: s.given == nil || s.since >= fullEvery, Got: outcomeOf(next, effects, sum(after))}
	what := any(given)
	if !x.Full {
		what, _ = delta(map[string]any(s.given), given)
	}
	if x.Given, err = json.Marshal(what); err != nil {
		return step{}, err
	}
	if s.since++; x.Full {
		s.since = 1
	}
	s.given, s.state = maps.Clone(given), x.Got.State
	s.given[itsState] = after
	return x, nil
}

// Pending is the record of the Steps that are not recorded yet, and false if there are none.
func (s *Scribe) Pending(i incident.Incident) (audit.Record, bool) {
	if s == nil || len(s.steps) == 0 {
		return audit.Record{}, false
	}
	b, err := json.Marshal(data{Format, s.steps})
	if err == nil && len(b) > maxData {
		err = fmt.Errorf("%d steps need %d bytes, more than the limit of %d", len(s.steps), len(b), maxData)
	}
	if err != nil {
		s.given, s.state = nil, ""
		b, _ = json.Marshal(data{Format, []step{{Left: err.Error()}}})
	}
	return audit.Record{At: s.at, Kind: Kind, Incident: i.ID, Target: i.Target.String(), Actor: "watchdog",
		Text: strings.Join(s.texts, "; "), Data: b}, true
}

// Written marks the pending Steps as recorded.
func (s *Scribe) Written() { s.steps = nil }

// Forget forgets what the next decision would be recorded as a difference to: it is recorded whole. What is not
// recorded yet stays.
func (s *Scribe) Forget() {
	if s != nil {
		s.given, s.state = nil, ""
	}
}
