package decision

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Difference is a place where the record and the core differ.
type Difference struct {
	Seq      uint64 `json:"seq"` // of the record
	Incident string `json:"incident"`
	What     string `json:"what"`
	Wanted   string `json:"wanted,omitempty"` // in the record
	Got      string `json:"got,omitempty"`    // from the core
}

// String is the difference on one line.
func (d Difference) String() string {
	s := fmt.Sprintf("record %d, incident %s: %s", d.Seq, d.Incident, d.What)
	if d.Wanted != "" || d.Got != "" {
		s += fmt.Sprintf(": recorded %q, replayed %q", d.Wanted, d.Got)
	}
	return s
}

// Report is what replaying a record found.
type Report struct {
	Decisions   int          `json:"decisions"` // replayed
	Incidents   int          `json:"incidents"` // of those
	Differences []Difference `json:"differences,omitempty"`
	// Without counts records of incidents without replayable decisions: earlier
	// versions wrote none.
	Without int `json:"without"`
	// Foreign counts records of decisions in other formats, by format.
	Foreign map[int]int `json:"foreign,omitempty"`
	// Left counts decisions that could not be replayed, by reason.
	Left map[string]int `json:"left,omitempty"`
}

// Replay passes recorded inputs to the core again. Add the records of a log in order.
type Replay struct {
	Report
	first   uint64 // number of the first record
	written bool   // the process that writes the log records decisions
	threads map[string]*thread
}

// thread is one incident's decisions.
type thread struct {
	counted bool
	writes  bool           // its decisions are recorded
	given   map[string]any // nil: unknown
	sum     string
	lost    string            // why decisions after the last one cannot be replayed
	said    []incident.Entry  // what decisions added to the timeline, expected in the next records
	after   incident.Incident // after the last decision
}

// lose records why later decisions of the thread cannot be replayed.
func (t *thread) lose(why string) {
	t.given, t.said, t.after, t.lost = nil, nil, incident.Incident{}, why
}

// begun is the data of a configuration's record: its writer records decisions.
type begun struct {
	Decisions int `json:"decisions"`
}

// Begun is the data of the record of a loaded configuration.
func Begun() json.RawMessage { b, _ := json.Marshal(begun{Format}); return b }

// outside are the kinds of timeline entries that no Step produces: changes of an incident
// between Steps, or after it is resolved.
var outside = []string{"adopted", "superseded", "relapse", "recovery", "status page", "reverted", "yielded"}

// Add processes the next record.
func (p *Replay) Add(r audit.Record) {
	if p.threads == nil {
		p.threads, p.first = map[string]*thread{}, r.Seq
	}
	switch {
	case r.Kind == "config":
		var b begun
		p.written = json.Unmarshal(r.Data, &b) == nil && b.Decisions > 0
		for _, t := range p.threads {
			t.writes = t.writes && p.written
		}
	case r.Incident == "" || r.Actor != "watchdog" || r.Kind == "outcome":
	case r.Kind == Kind:
		p.decisions(r)
	case r.Kind == "act":
		p.act(r)
	default:
		p.line(r)
	}
}

func (p *Replay) thread(id string) *thread {
	if p.threads[id] == nil {
		p.threads[id] = &thread{}
	}
	return p.threads[id]
}

func (p *Replay) differs(r audit.Record, what, wanted, got string) {
	p.Differences = append(p.Differences, Difference{r.Seq, r.Incident, what, wanted, got})
}

// leave counts decisions that cannot be replayed.
func (p *Replay) leave(t *thread, why string) {
	if p.Left == nil {
		p.Left = map[string]int{}
	}
	p.Left[why]++
	t.lose(why)
}

// decisions replays those of one record.
func (p *Replay) decisions(r audit.Record) {
	t := p.thread(r.Incident)
	t.writes = true
	var format struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(r.Data, &format); err != nil || format.Format <= 0 {
		p.differs(r, fmt.Sprintf("cannot read its decisions: %v",
			errors.Join(err, fmt.Errorf("format %d", format.Format))), "", "")
		t.lose("an earlier record of the incident cannot be read")
		return
	}
	if format.Format != Format {
		if p.Foreign == nil {
			p.Foreign = map[int]int{}
		}
		p.Foreign[format.Format]++
		t.lose("an earlier record of the incident is in another format")
		return
	}
	var d data
	dec := json.NewDecoder(bytes.NewReader(r.Data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		p.differs(r, fmt.Sprintf("cannot read its decisions: %v", err), "", "")
		t.lose("an earlier record of the incident cannot be read")
		return
	}
	for n, x := range d.Steps {
		p.step(r, t, fmt.Sprintf("decision %d of %d", n+1, len(d.Steps)), x)
	}
}

// step replays one.
func (p *Replay) step(r audit.Record, t *thread, name string, x step) {
	fail := func(what, wanted, got string) {
		p.differs(r, name+": "+what, wanted, got)
		t.lose("it follows a decision that differs")
	}
	switch {
	case x.Left != "":
		p.leave(t, x.Left)
		t.sum = ""
		return
	case x.Full && x.After == "":
		t.said = nil // another process begins: what the last one had not written is lost
	case t.lost != "" && !x.Full:
		p.leave(t, t.lost)
		return
	case t.lost != "":
	case t.sum == "" && p.first > 1:
		if !x.Full {
			p.leave(t, "it follows a decision in a file that no longer exists")
			return
		}
	case x.After != t.sum:
		fail("its state is not the one that the previous decision produced", x.After, t.sum)
		return
	}
	given, err := t.unfold(x)
	if err != nil {
		fail(fmt.Sprintf("cannot read its input: %v", err), "", "")
		return
	}
	q, err := question(given)
	if err != nil {
		fail(fmt.Sprintf("cannot read its input: %v", err), "", "")
		return
	}
	t.lost = ""
	if p.Decisions++; !t.counted {
		t.counted = true
		p.Incidents++
	}
	if q.state.ID != r.Incident || q.state.Target.String() != r.Target {
		fail("it is about another incident", r.Incident+" on "+r.Target, q.state.ID+" on "+q.state.Target.String())
		return
	}
	if what, wanted, got := weighed(q.event); what != "" {
		fail(what, wanted, got)
		return
	}
	next, effects, err := q.ask()
	if err != nil {
		fail(err.Error(), x.Got.String(), "")
		return
	}
	after, err := tree(reduced(next))
	if err != nil {
		fail(fmt.Sprintf("cannot encode the resulting state: %v", err), "", "")
		return
	}
	got := outcomeOf(next, effects, sum(after))
	if wanted, is := x.Got.String(), got.String(); wanted != is {
		fail("event "+q.name+" gave another result", wanted, is)
		return
	}
	if x.Got.State != got.State {
		fail("event "+q.name+" gave another state", x.Got.State, got.State+": "+last(next, entries(q.state)))
		return
	}
	t.given, t.sum, t.after = maps.Clone(given), got.State, next
	t.given[itsState] = after
	t.said = append(t.said, next.Timeline[len(next.Timeline)-min(len(next.Timeline),
		entries(next)-entries(q.state)):]...)
	if next.Phase == incident.Resolved && next.Op == nil {
		t.given = nil // only a full one follows it
	}
}

// last is what a Step added to the timeline.
func last(i incident.Incident, before int) string {
	var said []string
	for _, e := range i.Timeline[len(i.Timeline)-min(len(i.Timeline), max(0, entries(i)-before)):] {
		said = append(said, string(e.Kind)+": "+e.Text)
	}
	if len(said) == 0 {
		return "nothing added to the timeline"
	}
	return strings.Join(said, "; ")
}

// unfold is the complete input of the Step.
func (t *thread) unfold(x step) (map[string]any, error) {
	v, err := parse(x.Given)
	if err != nil {
		return nil, err
	}
	if !x.Full {
		if t.given == nil {
			return nil, errors.New("it is a change of a state that no record gives")
		}
		if v, err = apply(t.given, v); err != nil {
			return nil, err
		}
	}
	given, is := v.(map[string]any)
	switch {
	case !is:
		return nil, errors.New("not a JSON object")
	case !fits(given):
		return nil, fmt.Errorf("it unfolds to more than %d bytes", maxSize)
	}
	return given, nil
}

// asked is one input of the core.
type asked struct {
	name   string
	state  incident.Incident
	event  incident.Event
	policy incident.Policy
	answer *response
}

func question(given map[string]any) (q asked, err error) {
	q.name, _ = given[itsKind].(string)
	for name := range given {
		if !slices.Contains([]string{itsKind, itsState, itsPolicy, itsAsked, itsTick, itsEvent}, name) {
			return q, fmt.Errorf("unknown input %.40q", name)
		}
	}
	if q.state, err = as[incident.Incident](given[itsState]); err != nil {
		return q, fmt.Errorf("its state: %w", err)
	}
	if q.policy, err = as[incident.Policy](given[itsPolicy]); err != nil {
		return q, fmt.Errorf("its policy: %w", err)
	}
	if v, is := given[itsAsked]; is {
		r, err := as[response](v)
		if err != nil {
			return q, fmt.Errorf("its deadlines: %w", err)
		}
		q.answer = &r
		q.policy.Response = q.answer
	}
	event := given[itsEvent]
	if q.name == itsTick {
		event = given[itsTick]
	}
	if event == nil {
		return q, errors.New("it has no event")
	}
	if q.event, err = eventOf(q.name, event); err != nil {
		return q, fmt.Errorf("its event: %w", err)
	}
	return q, nil
}

// ask calls the core. A forged record may contain what the core never receives.
func (q asked) ask() (next incident.Incident, effects []incident.Effect, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the core panicked on event %s: %v", q.name, r)
		}
	}()
	next, effects = incident.Step(q.state, q.event, q.policy)
	if q.answer != nil && len(q.answer.unknown) > 0 {
		err = fmt.Errorf("event %s asked for %s, which is not on record", q.name, q.answer.unknown[0])
	}
	return next, effects, err
}

// weighed compares an event's result of the guards' answers, and its plan's hash, with the
// recomputed ones.
func weighed(e incident.Event) (what, wanted, got string) {
	check := func(plan incident.Plan, answers []incident.Answer, h incident.Hold, reason string, retryAt time.Time) {
		if hash := remediate.Hash(plan); plan.Hash != "" && plan.Hash != hash {
			what, wanted, got = "the plan has another hash", plan.Hash, hash
		}
		if len(answers) == 0 {
			return // the target could not be read
		}
		hold, why, at := remediate.Held(answers)
		if hold != h || why != reason || !at.Equal(retryAt) {
			say := func(h incident.Hold, reason string, at time.Time) string {
				if h == "" {
					return "pass"
				}
				return fmt.Sprintf("%s: %s (retry at %s)", h, reason, at.UTC().Format(time.RFC3339))
			}
			what, wanted, got = "the guards' answers have another result", say(h, reason, retryAt), say(hold, why, at)
		}
	}
	switch e := e.(type) {
	case incident.Considered:
		check(e.Plan, e.Answers, e.Hold, e.Reason, e.RetryAt)
	case incident.Rechecked:
		check(e.Plan, e.Answers, e.Hold, e.Reason, e.RetryAt)
	}
	return what, wanted, got
}

// act compares the record of an action with the op that was decided.
func (p *Replay) act(r audit.Record) {
	t := p.threads[r.Incident]
	var op *incident.Op
	if t != nil && t.after.Op != nil && t.after.Op.ID == r.Op {
		op = t.after.Op
	}
	switch {
	case op == nil && len(r.Data) == 0:
		// The expiry of a lease: no Step decides it.
	case t == nil || !t.writes:
		p.undecided(r)
	case t.lost != "":
		p.Without++
	case op == nil || op.Phase != incident.Sent:
		p.differs(r, "no preceding decision sends op "+r.Op, r.Text, "")
	case op.Plan.Hash != r.Plan || op.Plan.Summary != r.Text || remediate.Hash(op.Plan) != r.Plan:
		p.differs(r, "the decision has another plan", fmt.Sprintf("%s (%.12s)", r.Text, r.Plan),
			fmt.Sprintf("%s (%.12s)", op.Plan.Summary, op.Plan.Hash))
	case !bytes.Equal(r.Data, Act(t.after)):
		p.differs(r, "it does not match the decision: the plan, answers, configuration or evidence differs",
			"", "")
	}
}

// undecided counts a record without a decision, or reports it if there must be one.
func (p *Replay) undecided(r audit.Record) {
	if p.written {
		p.differs(r, "no preceding decision produced it", r.Kind+": "+r.Text, "")
		return
	}
	p.Without++
}

// line compares a line of an incident's timeline with what the decisions produced.
func (p *Replay) line(r audit.Record) {
	t := p.threads[r.Incident]
	switch {
	case t != nil && len(t.said) > 0 && string(t.said[0].Kind) == r.Kind && t.said[0].Text == r.Text &&
		t.said[0].At.Equal(r.At):
		t.said = t.said[1:]
	case slices.Contains(outside, r.Kind):
	case t == nil || !t.writes:
		p.undecided(r)
	case t.lost != "":
		p.Without++
	case len(t.said) == 0:
		p.differs(r, "no preceding decision produced it", r.Kind+": "+r.Text, "")
	default:
		want := t.said[0]
		p.differs(r, "the preceding decision produced something else", line(r.At, r.Kind, r.Text),
			line(want.At, string(want.Kind), want.Text))
		if string(want.Kind) == r.Kind {
			t.said = t.said[1:]
		}
	}
}

func line(at time.Time, what, text string) string {
	return at.UTC().Format(time.RFC3339Nano) + " " + what + ": " + text
}

// Summary is the report, one line for each count.
func (r Report) Summary() []string {
	all := []string{}
	count := fmt.Sprintf("%s of %s replayed: ", many(r.Decisions, "decision"), many(r.Incidents, "incident"))
	switch n := len(r.Differences); n {
	case 0:
		if r.Decisions == 0 {
			all = append(all, "no decisions replayed")
			break
		}
		all = append(all, count+"all identical")
	default:
		all = append(all, count+many(n, "difference"))
	}
	for _, f := range slices.Sorted(maps.Keys(r.Foreign)) {
		all = append(all, fmt.Sprintf("%s of decisions not replayed: format %d, this version reads format %d",
			many(r.Foreign[f], "record"), f, Format))
	}
	for _, why := range slices.Sorted(maps.Keys(r.Left)) {
		all = append(all, fmt.Sprintf("%s not replayed: %s", many(r.Left[why], "decision"), why))
	}
	if r.Without > 0 {
		all = append(all, fmt.Sprintf("%s on incidents without replayable decisions: earlier versions wrote none",
			many(r.Without, "record")))
	}
	return all
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
