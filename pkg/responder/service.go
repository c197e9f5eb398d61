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

// Person is who asks, as the API server knows them. Somebody else has made sure
// that it is them.
type Person struct {
	Name   string
	UID    string
	Groups []string
	Extra  map[string][]string
	// Unverified: the API server does not know them, somebody else does, and the
	// configuration lets such people acknowledge. That is all they may.
	Unverified bool
}

// Rights are the sub-resources of incidents.watchdog.io on which a person needs the
// verb update. They exist in Kubernetes' RBAC only.
const (
	RightAck     = "ack"      // ack and severity
	RightAnswer  = "approval" // approve and deny
	RightHold    = "hold"     // hold and resume
	RightComment = "notes"
	RightPublish = "publish"
	RightUndo    = "undo"
)

var rights = map[Action]string{
	Ack: RightAck, Grade: RightAck, Approve: RightAnswer, Deny: RightAnswer, Hold: RightHold, Resume: RightHold,
	Note: RightComment, Publish: RightPublish, Undo: RightUndo,
}

// Errors of a Cluster.
var (
	// ErrChanged says that the incident has changed since it was read.
	ErrChanged = errors.New("the incident has changed")
	// ErrNoIncident says that the incident does not exist, or no longer exists.
	ErrNoIncident = errors.New("no such incident")
)

// Results of a request.
const (
	Applied   = "applied"
	Declined  = "refused"   // by what Decide says
	Forbidden = "forbidden" // they may not
	// the cluster did not respond, or nothing could be recorded: not applied, as far as is known
	Failed = "failed"
	// Overtaken: the incident changed first. It was not applied, and is decided once more.
	Overtaken = "overtaken"
)

// AuditEvent is a request with its result, for the record.
type AuditEvent struct {
	Request Request
	Target  string // once it is known
	Result  string
	Text    string
}

// Cluster is what a service reads and writes.
type Cluster interface {
	Incidents(ctx context.Context) ([]incident.Incident, error)
	// Incident returns one incident, what responders wrote on it, and the version of
	// both; Patch adds to what they wrote, and returns ErrChanged if the version has
	// changed.
	Incident(ctx context.Context, id string) (incident.Incident, incident.ResponderActions, string, error)
	Patch(ctx context.Context, id string, p Patch, version string) error
	Ledger(ctx context.Context) (incident.Ledger, error)
	// Undo requests that an op is reverted, Lift ends a quarantine.
	Undo(ctx context.Context, op string, by incident.Attribution) error
	Lift(ctx context.Context, target, op string) error
	// Hold keeps watchdog's hands off an object, until by.Until if that is set; Resume
	// ends that and reports whether there was a hold. HoldAll and ResumeAll are about
	// everything.
	Hold(ctx context.Context, o Object, by incident.Attribution) error
	Resume(ctx context.Context, o Object, by incident.Attribution) (bool, error)
	HoldAll(ctx context.Context, by incident.Attribution) error
	ResumeAll(ctx context.Context) error
}

// Options are a service's edges.
type Options struct {
	Cluster Cluster
	// May returns nil if the person has the right, *Refused if not, and another
	// error if that is unknown, which is a no as well.
	May func(ctx context.Context, p Person, right string) error
	// Record writes the audit record. What cannot be recorded is not applied.
	Record func(AuditEvent) error
	Count  func(source string, action Action, result string)
	Now    func() time.Time
}

// Service applies people's requests, on any replica and for the command line. It is safe
// for use by several goroutines.
type Service struct {
	o Options

	mu     sync.Mutex // one request after the other: they are few, and each reads what the last one wrote
	all    []incident.Incident
	readAt time.Time
	pace   map[string]*pace
}

// New returns a service.
func New(o Options) *Service { return &Service{o: o, pace: map[string]*pace{}} }

// Limits of a service, so that a flood of requests is none for the API server.
const (
	fresh      = time.Second // how long a list of incidents serves for further requests
	tries      = 8           // on an incident that changes meanwhile
	paceEvery  = time.Second
	paceBurst  = 10
	maxPersons = 1000
)

// Do applies a request and returns one line for the person. An error of type *Refused is
// meant for them, too; with any other error the request is not applied, as far as is
// known, and asking again makes sense.
func (s *Service) Do(ctx context.Context, p Person, r Request) (string, error) {
	r.By, r.At = p.Name, s.o.Now()
	if r.By == "" {
		return "", s.Refuse(r, "cannot identify the caller")
	}
	if len(r.By) > maxName || strings.ContainsFunc(r.By, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return "", s.Refuse(r, fmt.Sprintf("invalid user name: at most %d bytes and no control characters", maxName))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok, first := s.paced(r.By, r.At); !ok {
		err := refuse("too many requests by %s; wait a moment and try again", r.By)
		if !first {
			// Once is on record: whoever has any account must not be able to fill it.
			s.o.Count(r.Source, r.Action, Declined)
			return "", err
		}
		return "", s.refuse(r, "", err)
	}
	right, known := rights[r.Action]
	if !known {
		return "", s.refuse(r, "", refuse("%q is not an action", r.Action))
	}
	if err := s.may(ctx, p, r.Action, right); err != nil {
		return "", s.refuse(r, "", err)
	}
	text, target, err := s.apply(ctx, r)
	if err != nil {
		return "", s.refuse(r, target, err)
	}
	s.o.Count(r.Source, r.Action, Applied)
	return text, nil
}

func (s *Service) may(ctx context.Context, p Person, a Action, right string) error {
	switch {
	case !p.Unverified:
		return s.o.May(ctx, p, right)
	case a == Ack:
		return nil
	}
	return &Refused{Reason: p.Name + " may only acknowledge incidents", Forbidden: true}
}

// maxName is the longest name that is stored.
const maxName = 253

// apply does what a request asks for. It returns the target as soon as it is known, also
// with an error.
func (s *Service) apply(ctx context.Context, r Request) (text, target string, err error) {
	if len(r.Reason) > maxText {
		return "", "", refuse("the text is longer than %d bytes", maxText)
	}
	switch {
	case r.Action == Undo:
		return s.undo(ctx, r)
	case (r.Action == Hold || r.Action == Resume) && r.All:
		return s.everything(ctx, r)
	case (r.Action == Hold || r.Action == Resume) && r.Incident == "":
		return s.object(ctx, r, r.Object)
	}
	i, err := s.find(ctx, r.Incident, r.At)
	if err != nil {
		return "", "", err
	}
	if r.Incident = i.ID; r.Action == Hold || r.Action == Resume {
		return s.workload(ctx, r, i)
	}
	return s.word(ctx, r, i)
}

// word writes on the incident, by compare-and-swap: of two who acknowledge it at the same
// moment one has it, and the other gets that person's name. When only the leader wrote meanwhile, the
// same is decided once more.
func (s *Service) word(ctx context.Context, r Request, i incident.Incident) (text, target string, err error) {
	target = i.Target.String()
	for range tries {
		inc, words, version, err := s.o.Cluster.Incident(ctx, i.ID)
		if errors.Is(err, ErrNoIncident) {
			return "", target, refuse("incident %s no longer exists", i.ID)
		}
		if err != nil {
			return "", target, err
		}
		patch, text, err := Decide(inc, words, r)
		if err != nil {
			return "", target, err
		}
		if err := s.record(r, target, text); err != nil {
			return "", target, err
		}
		switch err := s.o.Cluster.Patch(ctx, i.ID, patch, version); {
		case err == nil:
			return text, target, nil
		case !errors.Is(err, ErrChanged):
			return "", target, err
		}
		// Record that the earlier decision was not applied.
		_ = s.o.Record(AuditEvent{Request: r, Target: target, Result: Overtaken,
			Text: "the incident was changed concurrently; retrying"})
	}
	return "", target, fmt.Errorf("%w %d times while this was applied; try again", ErrChanged, tries)
}

// record puts on record what is about to be applied.
func (s *Service) record(r Request, target, text string) error {
	if err := s.o.Record(AuditEvent{Request: r, Target: target, Result: Applied, Text: text}); err != nil {
		return fmt.Errorf("could not write the audit record; the request was not applied: %w", err)
	}
	return nil
}

// Refuse puts on record that a request of somebody who is not known was refused, and
// returns the refusal. Of many at once, the first beyond a person's pace is on record.
func (s *Service) Refuse(r Request, why string) error {
	if r.At.IsZero() {
		r.At = s.o.Now()
	}
	no := &Refused{Reason: why, Forbidden: true}
	s.mu.Lock()
	ok, first := s.paced(r.By, r.At)
	s.mu.Unlock()
	if !ok && !first {
		s.o.Count(r.Source, r.Action, Forbidden)
		return no
	}
	return s.refuse(r, "", no)
}

func (s *Service) refuse(r Request, target string, err error) error {
	result := Failed
	if no := (*Refused)(nil); errors.As(err, &no) {
		result = Declined
		if no.Forbidden {
			result = Forbidden
		}
	}
	s.o.Count(r.Source, r.Action, result)
	// Without a record it is refused all the same, and the log says that there is none.
	_ = s.o.Record(AuditEvent{Request: r, Target: target, Result: result, Text: err.Error()})
	return err
}

// Why returns what the guards say of an incident.
func (s *Service) Why(ctx context.Context, id string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.find(ctx, id, s.o.Now())
	if err != nil {
		return "", err
	}
	return why(i), nil
}

// find returns the incident that a request names. A button and a page give the whole id:
// then no other incident is read.
func (s *Service) find(ctx context.Context, word string, now time.Time) (incident.Incident, error) {
	if id, whole := WholeID(word); whole {
		i, _, _, err := s.o.Cluster.Incident(ctx, id)
		if !errors.Is(err, ErrNoIncident) {
			return i, err
		}
	}
	all, err := s.incidents(ctx, now)
	if err != nil {
		return incident.Incident{}, err
	}
	return Pick(all, word)
}

// incidents lists them, or serves what was listed a moment ago.
func (s *Service) incidents(ctx context.Context, now time.Time) ([]incident.Incident, error) {
	if s.all != nil && now.Sub(s.readAt).Abs() < fresh {
		return s.all, nil
	}
	all, err := s.o.Cluster.Incidents(ctx)
	if err != nil {
		return nil, err
	}
	s.all, s.readAt = append([]incident.Incident{}, all...), now
	return s.all, nil
}

// pace is how much one person may still ask.
type pace struct {
	left float64
	at   time.Time
	over bool // since the last request that was in the pace
}

// paced takes one request from the person's rate, and says of one that is too much
// whether it is the first.
func (s *Service) paced(name string, now time.Time) (ok, first bool) {
	p := s.pace[name]
	if p == nil {
		if len(s.pace) >= maxPersons {
			clear(s.pace) // people who may ask are fewer; this bounds memory, not requests
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
		lines = append(lines, "paged: "+i.PageReason)
	}
	if i.Asked != nil {
		lines = append(lines, fmt.Sprintf("approval requested until %s UTC: %s (plan %.12s)",
			i.Asked.Until.UTC().Format("15:04:05"), i.Asked.Plan.Summary, i.Asked.Plan.Hash))
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
		lines = append(lines, "no action was planned, so no guard was evaluated")
	}
	return strings.Join(lines, "\n")
}

func passed(a incident.Answer) int {
	if a.Hold == "" {
		return 1
	}
	return 0
}
