package responder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Hold is a word about a workload: hands off. It is no word of the ledger's.
const Hold Action = "hold"

// Person is who speaks, as the API server knows them. Somebody else has made sure
// that it is them.
type Person struct {
	Name   string
	UID    string
	Groups []string
	Extra  map[string][]string
	// Unverified: the API server does not know them, somebody else does, and the
	// configuration lets such people take incidents on. That is all they may.
	Unverified bool
}

// Rights are the sub-resources of incidents.watchdog.io on which a person needs the
// verb update. They exist in Kubernetes' RBAC only.
const (
	RightAck     = "ack"      // ack and severity
	RightAnswer  = "approval" // approve and deny
	RightHold    = "hold"
	RightComment = "notes"
)

var rights = map[Action]string{Ack: RightAck, Grade: RightAck, Approve: RightAnswer, Deny: RightAnswer, Hold: RightHold, Note: RightComment}

// ErrChanged says that the ledger was written by somebody else since it was read.
var ErrChanged = errors.New("the ledger has changed")

// Results of a word.
const (
	Applied   = "applied"
	Declined  = "refused"   // by what Decide says
	Forbidden = "forbidden" // they may not
	Failed    = "failed"    // the Kubernetes API did not respond: nothing is changed, as far as is known
)

// AuditEvent is a word with what came of it, for the record.
type AuditEvent struct {
	Request Request
	Target  string // once it is known
	Result  string
	Text    string
}

// Options are a service's edges.
type Options struct {
	Incidents func(ctx context.Context) ([]incident.Incident, error)
	// Ledger returns the ledger with its version; Say writes into it, and says
	// ErrChanged if it is not of that version any more.
	Ledger func(ctx context.Context) (incident.Ledger, string, error)
	Say    func(ctx context.Context, s incident.Saying, version string) error
	// Hold keeps watchdog's hands off a workload.
	Hold func(ctx context.Context, t incident.Target, reason, by string) error
	// May returns nil if the person has the right, *Refused if not, and another
	// error if that cannot be told, which is a no as well.
	May func(ctx context.Context, p Person, right string) error
	// Record puts what was heard on record. What cannot be recorded does not count.
	Record func(AuditEvent) error
	Count  func(via string, verb Action, result string)
	Now    func() time.Time
}

// Service takes people's words on any replica. It is safe for use by several
// goroutines.
type Service struct {
	o Options

	mu     sync.Mutex // one word after the other: they are few, and each reads what the last one wrote
	all    []incident.Incident
	readAt time.Time
	pace   map[string]*pace
}

// New returns a service.
func New(o Options) *Service { return &Service{o: o, pace: map[string]*pace{}} }

// Limits of a service, so that a flood of requests is none for the API server.
const (
	fresh      = time.Second // how long a list of incidents serves for further words
	tries      = 8           // on a ledger that changes meanwhile
	paceEvery  = time.Second
	paceBurst  = 10
	maxPersons = 1000
)

// Do does with a word what is to be done, and returns one line for the person.
// An error of type *Refused is meant for them, too; with any other error the word
// does not count, and saying it again makes sense.
func (s *Service) Do(ctx context.Context, p Person, w Request) (string, error) {
	w.By, w.At = p.Name, s.o.Now()
	if w.By == "" {
		return "", s.Refuse(w, "cannot identify the caller")
	}
	if len(w.By) > maxName || strings.ContainsFunc(w.By, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", s.Refuse(w, fmt.Sprintf("invalid user name: at most %d bytes and no control characters", maxName))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok, first := s.paced(w.By, w.At); !ok {
		err := refuse("%s sends requests too fast; wait a moment and try again", w.By)
		if !first {
			// Once is on record: whoever has any account must not be able to fill it.
			s.o.Count(w.Source, w.Action, Declined)
			return "", err
		}
		return "", s.refuse(w, "", Declined, err)
	}
	right, known := rights[w.Action]
	if p.Unverified && w.Action != Ack {
		right = ""
	}
	if !known {
		return "", s.refuse(w, "", Declined, refuse("%q is not an action", w.Action))
	}
	if err := s.may(ctx, p, right); err != nil {
		result := Failed
		if r := (*Refused)(nil); errors.As(err, &r) {
			result = Forbidden
		}
		return "", s.refuse(w, "", result, err)
	}
	return s.take(ctx, w)
}

func (s *Service) may(ctx context.Context, p Person, right string) error {
	switch {
	case !p.Unverified:
		return s.o.May(ctx, p, right)
	case right == RightAck:
		return nil
	}
	return &Refused{Reason: p.Name + " may only acknowledge incidents", Forbidden: true}
}

// maxName is the longest name that the ledger takes.
const maxName = 253

func (s *Service) take(ctx context.Context, w Request) (string, error) {
	all, err := s.incidents(ctx, w.At)
	if err != nil {
		return "", s.refuse(w, "", Failed, err)
	}
	target := ""
	if i, err := Pick(all, w.Incident); err == nil {
		w.Incident, target = i.ID, i.Target.String()
	}
	if w.Action == Hold {
		return s.hold(ctx, all, w)
	}
	for range tries {
		ledger, version, err := s.o.Ledger(ctx)
		if err != nil {
			return "", s.refuse(w, target, Failed, err)
		}
		patch, text, err := Decide(all, ledger, w)
		if err != nil {
			return "", s.refuse(w, target, Declined, err)
		}
		if err := s.o.Record(AuditEvent{Request: w, Target: target, Result: Applied, Text: text}); err != nil {
			return "", s.refuse(w, target, Failed, fmt.Errorf("could not write the audit record; the request was not applied: %w", err))
		}
		switch err := s.o.Say(ctx, patch, version); {
		case err == nil:
			s.o.Count(w.Source, w.Action, Applied)
			return text, nil
		case errors.Is(err, ErrChanged):
			// Somebody spoke at the same time: what they said is weighed, too.
		default:
			return "", s.refuse(w, target, Failed, err)
		}
	}
	return "", s.refuse(w, target, Failed, fmt.Errorf("%w %d times while this was said; say it again", ErrChanged, tries))
}

func (s *Service) hold(ctx context.Context, all []incident.Incident, w Request) (string, error) {
	i, err := Pick(all, w.Incident)
	if err == nil && (i.Phase == incident.Resolved || i.Target.Workload == "") {
		err = refuse("incident %s (%s) has no workload to hold any more", i.ID, i.Phase)
	}
	if err != nil {
		return "", s.refuse(w, i.Target.String(), Declined, err)
	}
	text := fmt.Sprintf("%s is on hold: watchdog only watches. `watchdog resume %s/%s` lifts it", i.Target, i.Target.Namespace, i.Target.Workload)
	if err := s.o.Record(AuditEvent{Request: w, Target: i.Target.String(), Result: Applied, Text: text}); err != nil {
		return "", s.refuse(w, i.Target.String(), Failed, fmt.Errorf("could not write the audit record; the request was not applied: %w", err))
	}
	if err := s.o.Hold(ctx, i.Target, cmp.Or(w.Reason, "said about incident "+i.ID), w.By); err != nil {
		result := Failed
		if r := (*Refused)(nil); errors.As(err, &r) {
			result = Declined
		}
		return "", s.refuse(w, i.Target.String(), result, err)
	}
	s.o.Count(w.Source, w.Action, Applied)
	return text, nil
}

// Refuse puts on record that a word of somebody who is not known was refused, and
// returns the refusal. Of many at once, the first beyond a person's pace is on record.
func (s *Service) Refuse(w Request, why string) error {
	if w.At.IsZero() {
		w.At = s.o.Now()
	}
	s.mu.Lock()
	ok, first := s.paced(w.By, w.At)
	s.mu.Unlock()
	if !ok && !first {
		s.o.Count(w.Source, w.Action, Forbidden)
		return &Refused{Reason: why, Forbidden: true}
	}
	return s.refuse(w, "", Forbidden, &Refused{Reason: why, Forbidden: true})
}

func (s *Service) refuse(w Request, target, result string, err error) error {
	s.o.Count(w.Source, w.Action, result)
	// Without a record it is refused all the same, and the log says that there is none.
	_ = s.o.Record(AuditEvent{Request: w, Target: target, Result: result, Text: err.Error()})
	return err
}

// Why returns what the guards say of an incident.
func (s *Service) Why(ctx context.Context, id string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.incidents(ctx, s.o.Now())
	if err != nil {
		return "", err
	}
	i, err := Pick(all, id)
	if err != nil {
		return "", err
	}
	return why(i), nil
}

// incidents lists them, or serves what was listed a moment ago.
func (s *Service) incidents(ctx context.Context, now time.Time) ([]incident.Incident, error) {
	if s.all != nil && now.Sub(s.readAt).Abs() < fresh {
		return s.all, nil
	}
	all, err := s.o.Incidents(ctx)
	if err != nil {
		return nil, err
	}
	s.all, s.readAt = append([]incident.Incident{}, all...), now
	return s.all, nil
}

// pace is how much one person may still say.
type pace struct {
	left float64
	at   time.Time
	over bool // since the last word that was in the pace
}

// paced takes one word from the person's pace, and says of one that is too much
// whether it is the first.
func (s *Service) paced(name string, now time.Time) (ok, first bool) {
	p := s.pace[name]
	if p == nil {
		if len(s.pace) >= maxPersons {
			clear(s.pace) // people who may speak are fewer; this bounds memory, not words
		}
		p = &pace{left: paceBurst, at: now}
		s.pace[name] = p
	}
	p.left, p.at = min(paceBurst, p.left+max(0, now.Sub(p.at).Seconds()/paceEvery.Seconds())), now
	if p.left < 1 {
		first, p.over = !p.over, true
		return false, first
	}
	p.left--
	p.over = false
	return true, false
}

// why says where an incident stands, and what each guard answered.
func why(i incident.Incident) string {
	lines := []string{fmt.Sprintf("%s %s: %s", i.ID, i.Title(), i.Phase)}
	if i.PageReason != "" {
		lines = append(lines, "a person was asked for: "+i.PageReason)
	}
	if i.Asked != nil {
		lines = append(lines, fmt.Sprintf("asks for approval until %s UTC: %s (plan %.12s)", i.Asked.Until.UTC().Format("15:04:05"), i.Asked.Plan.Summary, i.Asked.Plan.Hash))
	}
	if i.Considered != "" {
		lines = append(lines, "considered: "+i.Considered)
	}
	holds := slices.Clone(i.Answers)
	slices.SortStableFunc(holds, func(a, b incident.Answer) int { return cmp.Compare(passed(a), passed(b)) })
	for _, a := range holds {
		said := "passes"
		if a.Hold != "" {
			said = string(a.Hold)
		}
		lines = append(lines, fmt.Sprintf("%s (%s): %s", a.Guard, said, a.Reason))
	}
	if len(i.Answers) == 0 {
		lines = append(lines, "no action was planned, so no guard was asked")
	}
	return strings.Join(lines, "\n")
}

func passed(a incident.Answer) int {
	if a.Hold == "" {
		return 1
	}
	return 0
}
