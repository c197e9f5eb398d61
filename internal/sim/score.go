package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// The patience of the score.
const (
	// recovered is how long a target must have been well before an action on it
	// counts as harm: probes look every 5 s, and the last look is at most 10 s old.
	recovered = 20 * time.Second
	// unanswered is how long trouble may last without an action or a page, beyond
	// the policy's own WaitLimit.
	unanswered = 6 * time.Minute
)

// Score compares what was done with the truth.
type Score struct {
	Incidents int
	Effects   int
	Reverts   int
	// Harmful are disruptive actions on a target that was well; Needless are
	// actions that could not end the cause; Useful could.
	Harmful  int
	Needless int
	Useful   int
	// Late are writes that landed long after they were sent, on a target that had
	// become well: no precondition can know that.
	Late int
	// Episodes could have been cured by the policy with healthy monitoring and
	// nobody in the way; Missed are those in which nothing was done and nobody told.
	Episodes int
	Missed   int
	// Cured ended after an action that cures them.
	Cured int
	// Acted sums the time from the beginning of a cause to the first useful action.
	Acted time.Duration
	// Verdicts on effects, and how many are right by the truth.
	Verdicts int
	Right    int
	// Harms are verdicts of harm on what has a lease, and Undone those that were
	// taken back.
	Harms  int
	Undone int
	Pages  int
	Passes int
	// Rungs are the actions by rule, rung and action.
	Rungs map[string]Tally
}

// Tally is how many actions of one kind could end the cause, and how many there were.
type Tally struct{ Useful, All int }

// Add sums two scores.
func (s Score) Add(o Score) Score {
	s.Incidents += o.Incidents
	s.Effects += o.Effects
	s.Reverts += o.Reverts
	s.Harmful += o.Harmful
	s.Needless += o.Needless
	s.Useful += o.Useful
	s.Late += o.Late
	s.Episodes += o.Episodes
	s.Missed += o.Missed
	s.Cured += o.Cured
	s.Acted += o.Acted
	s.Verdicts += o.Verdicts
	s.Right += o.Right
	s.Harms += o.Harms
	s.Undone += o.Undone
	s.Pages += o.Pages
	s.Passes += o.Passes
	rungs := maps.Clone(s.Rungs)
	if rungs == nil {
		rungs = map[string]Tally{}
	}
	for k, t := range o.Rungs {
		rungs[k] = Tally{rungs[k].Useful + t.Useful, rungs[k].All + t.All}
	}
	s.Rungs = rungs
	return s
}

// score watches one world.
type score struct {
	w *World
	Score
	open map[*app]map[string]*episode
	// byOp is what each effect met.
	byOp map[string]effect
	// harms are the ops with a lease that were found to have done harm.
	harms map[string]bool
}

// episode is one cause on one target from beginning to end.
type episode struct {
	app     *app
	at      time.Time
	cause   string
	excused bool
	acted   bool
	cured   bool
	paged   bool
}

func newScore(w *World) *score {
	return &score{w: w, open: map[*app]map[string]*episode{}, byOp: map[string]effect{}, harms: map[string]bool{}}
}

func (s *score) began(a *app, cause string) {
	if s.open[a] == nil {
		s.open[a] = map[string]*episode{}
	}
	ep := &episode{app: a, at: s.w.clock.now, cause: cause, excused: len(s.open[a]) > 0 || !s.curable(a, cause) ||
		s.w.attended(a) || s.blocked(a)}
	s.open[a][cause] = ep
}

// blocked reports whether something stands in the way already.
func (s *score) blocked(a *app) bool {
	return s.w.monitor(a, s.w.clock.now) != "" || s.w.clock.now.Before(s.w.down) || !s.w.oracle.kill.IsZero()
}

// metricOf is what shows a cause first.
var metricOf = map[string]string{BadRelease: "error_rate", CrashLoop: "crash_looping", NeverReady: "rollout_stalled",
	Agents: "active_agents", Leak: "memory", Overload: "response_time"}

// curable reports whether the policy may and can end the cause.
func (s *score) curable(a *app, cause string) bool {
	p := s.w.scenario.Policy
	if p.Mode != incident.Auto || a.spec.Owner != "" || a.spec.Reverter > 0 || len(a.annotations) > 0 &&
		a.annotations[remediate.HoldAnnotation] != "" {
		return false
	}
	return slices.ContainsFunc(cures[cause],
		func(action incident.Action) bool { return p.has(metricOf[cause], action) })
}

// excuse marks what is open: something stands in the way.
func (s *score) excuse(a *app) {
	for _, ep := range s.open[a] {
		ep.excused = true
	}
}

func (s *score) ended(a *app, cause string) {
	ep := s.open[a][cause]
	if ep == nil {
		return
	}
	delete(s.open[a], cause)
	s.close(ep)
}

func (s *score) close(ep *episode) {
	if ep.excused ||
		s.w.clock.now.Sub(ep.at) < s.w.scenario.Policy.Core.WaitLimit+
			s.w.scenario.Policy.slow()+s.w.scenario.Lag.behind()+unanswered && !ep.acted {
		return
	}
	s.Episodes++
	if !ep.acted && !ep.paged {
		s.Missed++
		s.w.say("MISSED: %s of %s for %s: no action and no notification", ep.cause, ep.app.name,
			s.w.clock.now.Sub(ep.at).Round(time.Second))
	}
}

func (s *score) opened(incident.Incident) { s.Incidents++ }

func (s *score) paged(i incident.Incident) {
	s.Pages++
	s.notified(i)
}

// notified marks what is open on the incident's target: somebody knows of it.
func (s *score) notified(i incident.Incident) {
	for _, a := range s.w.apps {
		if concerns(i, a) {
			for _, ep := range s.open[a] {
				ep.paged = true
			}
		}
	}
}

func (s *score) effect(e effect) {
	s.byOp[e.op] = e
	if e.revert() {
		s.Reverts++
		if s.harms[strings.TrimSuffix(e.op, "r")] {
			s.Undone++
		}
		return
	}
	s.Effects++
	useful := s.Useful
	defer func() { s.tally(e, s.Useful > useful) }()
	if e.cause == "" {
		s.onWell(e)
		return
	}
	ends := false
	for cause, ep := range s.open[e.app] {
		if slices.Contains(cures[cause], e.plan.Action) {
			ends = true
			if !ep.cured {
				ep.cured = true
				s.Cured++
				s.Acted += e.at.Sub(ep.at)
			}
		}
		ep.acted = true // the ladder is being worked
	}
	if ends {
		s.Useful++
	} else {
		s.Needless++
	}
}

// tally counts an action for its rung.
func (s *score) tally(e effect, useful bool) {
	op := s.w.oracle.reserved[e.op]
	k := fmt.Sprintf("%s, rung %d: %s", op.Rule, op.Rung+1, e.plan.Action)
	if s.Rungs == nil {
		s.Rungs = map[string]Tally{}
	}
	t := s.Rungs[k]
	if t.All++; useful {
		t.Useful++
	}
	s.Rungs[k] = t
}

// onWell is an action on a target that nothing is wrong with.
func (s *score) onWell(e effect) {
	switch {
	case e.plan.Class < incident.C3:
		s.Needless++
	case e.sent.Sub(e.well) < recovered+s.w.scenario.Lag.behind():
		s.Needless++ // it became well while the decision was being carried out
	case e.at.Sub(e.sent) > 10*time.Second && e.sent.Before(e.well):
		s.Late++
	default:
		s.Harmful++
		s.w.say("HARM: %s, and nothing was wrong with %s for %s", e.plan.Summary, e.app.name,
			e.sent.Sub(e.well).Round(time.Second))
	}
}

// judged compares a verdict with the truth: whether what the action could cure is over.
func (s *score) judged(t incident.Attempt) {
	e, ok := s.byOp[t.OpID]
	if !ok || t.Verdict == incident.Aborted {
		return
	}
	if t.Verdict == incident.Harmed && e.plan.Lease > 0 {
		s.Harms++
		s.harms[t.OpID] = true
		s.w.oracle.harmed(t.OpID)
	}
	s.Verdicts++
	well := e.app.sick() == ""
	right := well == (t.Verdict == incident.Helped || t.Verdict == incident.ByItself)
	if t.Verdict == incident.Unclear {
		right = true // it says that it cannot tell
	}
	if right {
		s.Right++
	}
}

// end closes what is still open.
func (s *score) end() {
	for _, a := range s.w.apps {
		for _, ep := range s.open[a] {
			s.close(ep)
		}
	}
}
