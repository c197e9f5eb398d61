package people

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
const Hold Verb = "hold"

// Person is who speaks, as the API server knows them. Somebody else has made sure
// that it is them.
type Person struct {
	Name   string
	UID    string
	Groups []string
	Extra  map[string][]string
	// Stranger: the API server does not know them, somebody else does, and the
	// configuration lets such people take incidents on. That is all they may.
	Stranger bool
}

// Rights are the sub-resources of incidents.watchdog.io on which a person needs the
// verb update. They exist in Kubernetes' RBAC only.
const (
	RightAck     = "ack"      // ack and severity
	RightAnswer  = "approval" // approve and deny
	RightHold    = "hold"
	RightComment = "notes"
)

var rights = map[Verb]string{Ack: RightAck, Grade: RightAck, Approve: RightAnswer, Deny: RightAnswer, Hold: RightHold, Note: RightComment}

// ErrChanged says that the ledger was written by somebody else since it was read.
var ErrChanged = errors.New("the ledger has changed")

// Outcomes of a word.
const (
	Taken     = "taken"
	Declined  = "refused"   // by what Weigh says
	Forbidden = "forbidden" // they may not
	Failed    = "failed"    // the cluster could not be asked or told: nothing is changed, as far as is known
)

// Heard is a word with what came of it, for the record.
type Heard struct {
	Word    Word
	Target  string // once it is known
	Outcome string
	Text    string
}

// DeskOptions are a desk's edges.
type DeskOptions struct {
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
	Record func(Heard) error
	Count  func(via string, verb Verb, outcome string)
	Now    func() time.Time
}

// Desk takes people's words on any replica. It is safe for use by several
// goroutines.
type Desk struct {
	o DeskOptions

	mu     sync.Mutex // one word after the other: they are few, and each reads what the last one wrote
	all    []incident.Incident
	readAt time.Time
	pace   map[string]*pace
}

// NewDesk returns a desk.
func NewDesk(o DeskOptions) *Desk { return &Desk{o: o, pace: map[string]*pace{}} }

// Limits of a desk, so that a flood of words is none of requests.
const (
	fresh      = time.Second // how long a list of incidents serves for further words
	tries      = 8           // on a ledger that changes meanwhile
	paceEvery  = time.Second
	paceBurst  = 10
	maxPersons = 1000
)

// Hear does with a word what is to be done, and returns one line for the person.
// An error of type *Refused is meant for them, too; with any other error the word
// does not count, and saying it again makes sense.
func (d *Desk) Hear(ctx context.Context, p Person, w Word) (string, error) {
	w.By, w.At = p.Name, d.o.Now()
	if w.By == "" {
		return "", d.Refuse(w, "who says this is not known")
	}
	if len(w.By) > maxName || strings.ContainsFunc(w.By, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", d.Refuse(w, fmt.Sprintf("a name has at most %d bytes, none of them a control character", maxName))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if ok, first := d.paced(w.By, w.At); !ok {
		err := refuse("%s says too much at once; wait a moment", w.By)
		if !first {
			// Once is on record: whoever has any account must not be able to fill it.
			d.o.Count(w.Via, w.Verb, Declined)
			return "", err
		}
		return "", d.refuse(w, "", Declined, err)
	}
	right, known := rights[w.Verb]
	if p.Stranger && w.Verb != Ack {
		right = ""
	}
	if !known {
		return "", d.refuse(w, "", Declined, refuse("%q is no word of a person's", w.Verb))
	}
	if err := d.may(ctx, p, right); err != nil {
		outcome := Failed
		if r := (*Refused)(nil); errors.As(err, &r) {
			outcome = Forbidden
		}
		return "", d.refuse(w, "", outcome, err)
	}
	return d.take(ctx, w)
}

func (d *Desk) may(ctx context.Context, p Person, right string) error {
	switch {
	case !p.Stranger:
		return d.o.May(ctx, p, right)
	case right == RightAck:
		return nil
	}
	return &Refused{Reason: p.Name + " may only take incidents on", Forbidden: true}
}

// maxName is the longest name that the ledger takes.
const maxName = 253

func (d *Desk) take(ctx context.Context, w Word) (string, error) {
	all, err := d.incidents(ctx, w.At)
	if err != nil {
		return "", d.refuse(w, "", Failed, err)
	}
	target := ""
	if i, err := Pick(all, w.Incident); err == nil {
		w.Incident, target = i.ID, i.Target.String()
	}
	if w.Verb == Hold {
		return d.hold(ctx, all, w)
	}
	for range tries {
		ledger, version, err := d.o.Ledger(ctx)
		if err != nil {
			return "", d.refuse(w, target, Failed, err)
		}
		s, text, err := Weigh(all, ledger, w)
		if err != nil {
			return "", d.refuse(w, target, Declined, err)
		}
		if err := d.o.Record(Heard{Word: w, Target: target, Outcome: Taken, Text: text}); err != nil {
			return "", d.refuse(w, target, Failed, fmt.Errorf("what is said cannot be put on record, so it does not count: %w", err))
		}
		switch err := d.o.Say(ctx, s, version); {
		case err == nil:
			d.o.Count(w.Via, w.Verb, Taken)
			return text, nil
		case errors.Is(err, ErrChanged):
			// Somebody spoke at the same time: what they said is weighed, too.
		default:
			return "", d.refuse(w, target, Failed, err)
		}
	}
	return "", d.refuse(w, target, Failed, fmt.Errorf("%w %d times while this was said; say it again", ErrChanged, tries))
}

func (d *Desk) hold(ctx context.Context, all []incident.Incident, w Word) (string, error) {
	i, err := Pick(all, w.Incident)
	if err == nil && (i.Phase == incident.Resolved || i.Target.Workload == "") {
		err = refuse("incident %s (%s) has no workload to hold any more", i.ID, i.Phase)
	}
	if err != nil {
		return "", d.refuse(w, i.Target.String(), Declined, err)
	}
	text := fmt.Sprintf("%s is on hold: watchdog only watches. `watchdog resume %s/%s` lifts it", i.Target, i.Target.Namespace, i.Target.Workload)
	if err := d.o.Record(Heard{Word: w, Target: i.Target.String(), Outcome: Taken, Text: text}); err != nil {
		return "", d.refuse(w, i.Target.String(), Failed, fmt.Errorf("what is said cannot be put on record, so it does not count: %w", err))
	}
	if err := d.o.Hold(ctx, i.Target, cmp.Or(w.Reason, "said about incident "+i.ID), w.By); err != nil {
		outcome := Failed
		if r := (*Refused)(nil); errors.As(err, &r) {
			outcome = Declined
		}
		return "", d.refuse(w, i.Target.String(), outcome, err)
	}
	d.o.Count(w.Via, w.Verb, Taken)
	return text, nil
}

// Refuse puts on record that a word of somebody who is not known was refused, and
// returns the refusal. Of many at once, the first beyond a person's pace is on record.
func (d *Desk) Refuse(w Word, why string) error {
	if w.At.IsZero() {
		w.At = d.o.Now()
	}
	d.mu.Lock()
	ok, first := d.paced(w.By, w.At)
	d.mu.Unlock()
	if !ok && !first {
		d.o.Count(w.Via, w.Verb, Forbidden)
		return &Refused{Reason: why, Forbidden: true}
	}
	return d.refuse(w, "", Forbidden, &Refused{Reason: why, Forbidden: true})
}

func (d *Desk) refuse(w Word, target, outcome string, err error) error {
	d.o.Count(w.Via, w.Verb, outcome)
	// Without a record it is refused all the same, and the log says that there is none.
	_ = d.o.Record(Heard{Word: w, Target: target, Outcome: outcome, Text: err.Error()})
	return err
}

// Why returns what the guards say of an incident.
func (d *Desk) Why(ctx context.Context, id string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all, err := d.incidents(ctx, d.o.Now())
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
func (d *Desk) incidents(ctx context.Context, now time.Time) ([]incident.Incident, error) {
	if d.all != nil && now.Sub(d.readAt).Abs() < fresh {
		return d.all, nil
	}
	all, err := d.o.Incidents(ctx)
	if err != nil {
		return nil, err
	}
	d.all, d.readAt = append([]incident.Incident{}, all...), now
	return d.all, nil
}

// pace is how much one person may still say.
type pace struct {
	left float64
	at   time.Time
	over bool // since the last word that was in the pace
}

// paced takes one word from the person's pace, and says of one that is too much
// whether it is the first.
func (d *Desk) paced(name string, now time.Time) (ok, first bool) {
	p := d.pace[name]
	if p == nil {
		if len(d.pace) >= maxPersons {
			clear(d.pace) // people who may speak are fewer; this bounds memory, not words
		}
		p = &pace{left: paceBurst, at: now}
		d.pace[name] = p
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
