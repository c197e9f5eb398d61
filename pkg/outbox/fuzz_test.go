package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// stage is an outbox that a script plays: nothing runs by itself.
type stage struct {
	t       *testing.T
	x       *Outbox
	names   []string // of the receivers
	newest  map[string]incident.Incident
	answers []byte // of the receivers, in the order in which they are asked
	log     []string
	tries   map[string]try // by receiver and incident
	gone    map[string]incident.Incident
	jitter  bool // the breaker was open, whose pauses are not the same twice
}

// try is the last attempt to tell a receiver of an incident.
type try struct {
	failed bool
	until  time.Time // no further one is made before
}

// scripted is a receiver that answers as the script says.
type scripted struct {
	s           *stage
	name, other string
}

func (r scripted) Name() string        { return r.name }
func (r scripted) FallbackFor() string { return r.other }

func (r scripted) Notify(ctx context.Context, i incident.Incident, prev incident.Receipt) (incident.Receipt, error) {
	return r.s.asked(r.name, i, prev, notify.InDoubt(ctx))
}

// asked checks that an attempt may be made, and answers by the script.
func (s *stage) asked(receiver string, i incident.Incident, prev incident.Receipt,
	doubt bool) (incident.Receipt, error) {
	key, now := receiver+" "+i.ID, time.Now()
	last := s.tries[key]
	switch {
	case last.failed && now.Before(last.until):
		s.t.Errorf("%s is sent again %s after an attempt that may have arrived, before its pause is over", key,
			last.until.Sub(now))
	case doubt != last.failed:
		s.t.Errorf("%s: in doubt %v, and the attempt before failed: %v", key, doubt, last.failed)
	case !notify.Notified(prev) && i.Silenced() != "":
		s.t.Errorf("%s is sent although it is held back: %s", key, i.Silenced())
	}
	if was, dropped := s.gone[key]; dropped && was.UpdatedAt.Equal(i.UpdatedAt) {
		s.t.Errorf("%s is sent after it was dropped", key)
	}
	answer := byte(0)
	if len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	s.log = append(s.log, fmt.Sprintf("%s: %s is sent, in doubt %v, answer %d", now.Sub(notifytest.T0), key, doubt,
		answer%8))
	s.tries[key] = try{}
	notified := incident.Receipt{Ref: i.ID, State: string(i.Phase)}
	wait := max(time.Duration(answer/8)*time.Second, 1)
	switch answer % 8 {
	case 1, 2:
		s.tries[key] = try{true, now.Add(wait)}
		return prev, &notify.Failure{Err: errors.New("429, or 500 after it was taken"), After: wait}
	case 3:
		s.tries[key] = try{true, now.Add(wait)}
		return notified, &notify.Failure{Err: errors.New("the thread is refused for now"), After: wait, Delivered: true}
	case 4:
		return prev, &notify.Failure{Err: errors.New("400"), Final: true}
	case 5:
		s.tries[key] = try{failed: last.failed} // what was in doubt before still is
		return prev, &notify.Failure{Err: errors.New("not yet"), After: wait, Own: true}
	case 6:
		s.tries[key] = try{failed: last.failed}
		return notified, &notify.Failure{Err: errors.New("the thread waits"), After: wait, Own: true, Delivered: true}
	}
	return notified, nil
}

// play runs a script of pairs: what happens, and with how much.
func (s *stage) play(script []byte) {
	for k := 0; k+1 < len(script); k += 2 {
		what, n := script[k], script[k+1]
		id := fmt.Sprint("i", what/16%3)
		switch what % 16 {
		case 0, 1, 2, 3:
			time.Sleep(time.Duration(n) * time.Second / 4)
		case 4, 5:
			s.answers = append(s.answers, n)
		case 6:
			s.x.Yield(func(own string) bool { return own == "i0" })
			s.yielded()
		default:
			s.news(id, what%16, n)
		}
		s.settle()
	}
}

// news is a new state of an incident.
func (s *stage) news(id string, what, n byte) {
	i, is := s.newest[id]
	if !is {
		i = notifytest.Trouble()
		i.ID = id
	}
	i.Alerts = slices.Clone(i.Alerts)
	i.UpdatedAt = i.UpdatedAt.Add(time.Second)
	switch what {
	case 7:
		i.Alerts[0].Silenced = map[bool]string{true: "silenced by x"}[n%2 == 0]
	case 8:
		i.Maintenance.Held = map[bool]string{true: "w"}[n%2 == 0]
	case 9:
		i.Step = int(n % 3)
	case 10:
		i.Severity = []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3}[n%4]
	case 11:
		i.Phase, i.Alerts[0].Firing = incident.Resolved, false
	}
	s.newest[id] = i
	s.x.Tell(i)
}

// yielded remembers what is told by another replica from now on.
func (s *stage) yielded() {
	for id, i := range s.newest {
		for _, name := range s.names {
			if key := name + " " + id; id != "i0" {
				s.gone[key] = i
				if it := s.x.lanes[name].items[id]; it == nil || !it.doubt {
					s.tries[key] = try{}
				}
			}
		}
	}
}

// settle checks the decisions about all that waits, and does what is due.
func (s *stage) settle() {
	for range 100 {
		acted := false
		for _, name := range s.names {
			l := s.x.lanes[name]
			for id, it := range l.items {
				s.check(l, id, it)
			}
			if a, wait := l.next(); a != nil {
				s.log = append(s.log, fmt.Sprintf("%s: %s %s: %s, %s", time.Since(notifytest.T0), name, a.incident.ID,
					a.verb, a.reason))
				l.act(s.t.Context(), *a)
				s.jitter = s.jitter || l.breaker.open()
				acted = true
			} else if wait <= 0 {
				s.t.Errorf("%s waits for %s", name, wait)
			}
		}
		if !acted {
			return
		}
	}
	s.t.Error("it does not come to an end")
}

// check holds what is true of every decision.
func (s *stage) check(l *lane, id string, it *item) {
	p, now := s.x.policy(l, &it.incident), time.Now()
	d := decide(it, p, now)
	if again := s.x.decide(l, it, now); again != d {
		s.t.Errorf("%s %s: %v, then %v", l.name, id, d, again)
	}
	if d.verb == later && !d.at.After(now) {
		s.t.Errorf("%s %s is to be asked again in the past: %s", l.name, id, d.reason)
	}
	if d.reason == "" {
		s.t.Errorf("%s %s: %s for no reason", l.name, id, d.verb)
	}
	if !it.waits && d.verb != leave && d.verb != drop {
		s.t.Errorf("%s %s does not wait, and is %s", l.name, id, d.verb)
	}
	for _, held := range []policy{{canary: !p.canary}, {canary: p.canary, yielded: true},
		{canary: p.canary, crowded: true}} {
		for _, at := range []time.Time{now, now.Add(time.Hour)} {
			if decide(it, held, at).verb != drop {
				s.t.Errorf("%s %s is dropped, and told later", l.name, id)
			}
		}
	}
}

// FuzzOutboxDecides plays a script to a primary, its fallback, that one's fallback, and a
// receiver of the second step: no message is sent twice while one is in doubt, what is held
// back is not sent, what was dropped is not sent later, a wait ends in the future, and the
// same script gives the same decisions.
func FuzzOutboxDecides(f *testing.F) {
	f.Add([]byte{12, 0, 0, 200})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) <= 200 {
			playTwice(t, script)
		}
	})
}

// playTwice plays a script to two outboxes, and compares what they decide.
func playTwice(t *testing.T, script []byte) {
	var first []string
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(notifytest.T0))
			s := &stage{t: t, names: []string{"primary", "spare", "third", "boss"},
				newest: map[string]incident.Incident{}, tries: map[string]try{}, gone: map[string]incident.Incident{}}
			s.x = outbox(t, t.TempDir(), nil, scripted{s, "primary", ""}, scripted{s, "spare", "primary"},
				scripted{s, "third", "spare"}, scripted{s, "boss", ""})
			s.x.Escalate(Steps(&config.Config{Response: []config.Response{{Severity: incident.P1, Steps: []config.Step{
				{Receivers: []string{"primary"}}, {Receivers: []string{"boss"}}, {Receivers: []string{"third"}},
			}}}}))
			s.play(script)
			if first != nil && !s.jitter && !slices.Equal(s.log, first) {
				t.Errorf("the same script:\n%q\n%q", first, s.log)
			}
			first = append([]string{}, s.log...)
		})
	}
}
