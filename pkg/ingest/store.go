package ingest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/strutil"
)

// ErrFull is returned when a new alert finds no room. What is held stays.
var ErrFull = errors.New("no room for more firing alerts")

// Limits of a Store; zero values mean the defaults.
type Limits struct {
	// Firing is how many firing alerts are held: 50,000. An Alertmanager that sends
	// more is in a state in which one more alert tells nobody anything.
	Firing int
	// Bytes is how much they may take together: 64 MiB.
	Bytes int
	// Expire is after how long without a repetition a firing alert is lost: 12 h,
	// three times Alertmanager's default repeat_interval.
	Expire time.Duration
	// Retain is for how long it is remembered that an alert is over, so that an echo
	// of it is known as one: 48 h.
	Retain time.Duration
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Firing: cmp.Or(l.Firing, 50_000), Bytes: cmp.Or(l.Bytes, 64<<20),
		Expire: cmp.Or(l.Expire, 12*time.Hour), Retain: cmp.Or(l.Retain, 48*time.Hour),
	}
}

const (
	// rewriteAfter is how old the journal's word on when an alert was last seen may
	// get. A repetition within that time costs no write.
	rewriteAfter = time.Minute
	// echoAfter: a sender that says "firing" again, this long after a first time that
	// looked like an echo, means it. Alertmanager ends an alert when Prometheus is away
	// for long, and the alert goes on afterwards with its old start.
	echoAfter = 10 * time.Minute
)

// AlertState is the present state of an alert.
type AlertState struct {
	Alert
	// State is Firing, Resolved or Lost.
	State Status
	// SeenAt is when a sender last reported it, to the minute.
	SeenAt time.Time
}

// Store is the present state of every alert that was received. Many may read it;
// what changes it goes through a draft, one at a time.
type Store struct {
	limits Limits

	mu      sync.RWMutex
	entries map[Key]*entry // none is changed after it was put in
	firing  int
	bytes   int
}

// entry is what is known of one alert.
type entry struct {
	state   Status
	start   time.Time
	end     time.Time // when resolved
	seen    time.Time // when a sender last said so
	written time.Time // seen, as the journal has it
	echo    time.Time // when it was first said to fire although it was over
	line    []byte    // the record of it in the journal; with the alert while it fires
}

// record is an entry in the journal: one line of JSON.
type record struct {
	Key   Key       `json:"key"`
	State Status    `json:"state"`
	Start time.Time `json:"start"`
	End   time.Time `json:"end,omitzero"`
	Seen  time.Time `json:"seen"`
	Alert *Alert    `json:"alert,omitempty"` // only while it fires
}

// NewStore returns an empty store.
func NewStore(l Limits) *Store {
	return &Store{limits: l.withDefaults(), entries: map[Key]*entry{}}
}

// Firing returns the alerts that fire as last reported, oldest first.
func (b *Store) Firing() []AlertState {
	b.mu.RLock()
	var lines [][]byte
	for _, e := range b.entries {
		if e.state == Firing {
			lines = append(lines, e.line)
		}
	}
	b.mu.RUnlock()
	all := make([]AlertState, 0, len(lines))
	for _, l := range lines {
		if h, err := firingHint(l); err == nil {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(x, y AlertState) int {
		return cmp.Or(x.StartsAt.Compare(y.StartsAt), cmp.Compare(x.Fingerprint, y.Fingerprint))
	})
	return all
}

// State returns what is known of the alert, and false when it was never received
// or is forgotten.
func (b *Store) State(k Key) (Status, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if e := b.entries[k]; e != nil {
		return e.state, true
	}
	return "", false
}

// ends are when the alerts ended that are over, by identity.
func (b *Store) ends() map[string]time.Time {
	if b == nil {
		return map[string]time.Time{}
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := make(map[string]time.Time, len(b.entries)-b.firing)
	for k, e := range b.entries {
		if e.state == Resolved {
			all[identity(k)] = e.end
			if e.start.After(e.end) {
				all[identity(k)] = e.start // no alert ends before it began
			}
		}
	}
	return all
}

// Counts returns how many alerts fire and of how many it is remembered that they
// are over.
func (b *Store) Counts() (firing, over int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.firing, len(b.entries) - b.firing
}

func (b *Store) get(k Key) *entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.entries[k]
}

// size returns the firing alerts and their bytes.
func (b *Store) size() (firing, bytes int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.firing, b.bytes
}

// put replaces what is known of the alerts in changed.
func (b *Store) put(changed map[Key]*entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, e := range changed {
		b.set(k, e)
	}
	if over := len(b.entries) - b.firing; over > b.limits.Firing {
		b.forgetOldest(over - b.limits.Firing*9/10)
	}
}

func (b *Store) set(k Key, e *entry) {
	firing, bytes := weigh(b.entries[k], e)
	b.firing, b.bytes = b.firing+firing, b.bytes+bytes
	if e == nil {
		delete(b.entries, k)
		return
	}
	b.entries[k] = e
}

// weigh returns what putting e in the place of was adds.
func weigh(was, e *entry) (firing, bytes int) {
	if was != nil && was.state == Firing {
		firing, bytes = -1, -len(was.line)
	}
	if e != nil && e.state == Firing {
		firing, bytes = firing+1, bytes+len(e.line)
	}
	return firing, bytes
}

// lines returns the records of all that is known, for a snapshot.
func (b *Store) lines() [][]byte {
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := make([][]byte, 0, len(b.entries))
	for _, e := range b.entries {
		all = append(all, e.line)
	}
	return all
}

// restore takes a record of the journal. What is out of date by now was forgotten.
func (b *Store) restore(line []byte, now time.Time) error {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("invalid record: %w", err)
	}
	switch {
	case r.State != Firing && r.State != Resolved && r.State != Lost:
		return fmt.Errorf("invalid record: unknown state %q", strutil.Cut(string(r.State), 20))
	case (r.State == Firing) != (r.Alert != nil):
		return fmt.Errorf("invalid record: a %s alert must be included if and only if it fires", r.State)
	case r.Alert != nil && r.Alert.Key() != r.Key:
		return errors.New("invalid record: the alert does not match its key")
	}
	if r.Seen.After(now) {
		r.Seen = now // the clock was ahead when it was written
	}
	e := &entry{state: r.State, start: r.Start, end: r.End, seen: r.Seen, written: r.Seen, line: slices.Clone(line)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(r.Seen) >= b.limits.Expire+b.limits.Retain {
		e = nil
	}
	b.set(r.Key, e)
	return nil
}

// firingHint reads the record of a firing alert.
func firingHint(line []byte) (AlertState, error) {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return AlertState{}, err
	}
	return AlertState{Alert: *r.Alert, State: r.State, SeenAt: r.Seen}, nil
}

// Accept takes alerts over without a journal, and returns those whose state changed:
// for a caller whose memory is the disk, the simulator.
func (b *Store) Accept(alerts []Alert, now time.Time) ([]AlertState, error) {
	d := newDraft(b, now)
	if err := d.takeAll(b, alerts); err != nil {
		return nil, err
	}
	b.put(d.changed)
	return d.news, nil
}
