package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// Rehearsal is the kind of the target of an incident that only tries receivers out.
const Rehearsal = "test"

// headline is the incident in one line: how bad, what, and where it stands.
func headline(i incident.Incident) string {
	return fmt.Sprintf("%s %s: %s", i.Severity, status(i), i.Title())
}

// status is the incident's phase in the words of somebody who was just woken.
func status(i incident.Incident) string {
	if i.Asked != nil {
		return "needs approval"
	}
	switch {
	case i.Phase == incident.Resolved:
		return "resolved"
	case i.Target.Kind == Rehearsal:
		return "test"
	case !i.CalmSince.IsZero():
		return "recovering"
	}
	switch i.Phase {
	case incident.Escalated:
		return "needs a person"
	case incident.Suppressed:
		return "on hold"
	case incident.Frozen:
		return "frozen"
	case incident.Verifying:
		if !tried(i) {
			return "recovering"
		}
		return "verifying"
	case incident.Acting:
		if i.Op != nil {
			return "acting"
		}
	}
	return "open"
}

// tried reports whether something was done whose effect there is to wait for.
func tried(i incident.Incident) bool {
	return len(i.Attempts) > 0 || i.Op != nil && !i.Op.AppliedAt.IsZero()
}

// next says what watchdog will do, or what it wants of the reader.
func next(i incident.Incident) string {
	if r := i.Asked; r != nil {
		return fmt.Sprintf("watchdog asks to do this, until %s: %s. To allow it: `%s`; to forbid it: `watchdog deny %s --reason WHY`", r.Until.UTC().Format("15:04 UTC, 2 Jan"), r.Plan.Summary, i.ApproveCommand(), i.ID)
	}
	if i.Target.Kind == Rehearsal && i.Phase != incident.Resolved {
		return "Nothing is wrong, and nothing is asked of you."
	}
	if !i.CalmSince.IsZero() && i.Phase != incident.Resolved {
		return fmt.Sprintf("Nothing fires any more. It came back before, so this stays open until it has been calm for %s.", incident.FlapCalm)
	}
	switch i.Phase {
	case incident.Resolved:
		return fmt.Sprintf("Over after %s. Nothing is asked of you.", i.ResolvedAt.Sub(i.OpenedAt).Round(time.Second))
	case incident.Escalated:
		return "watchdog does nothing more here. Please take over."
	case incident.Suppressed:
		if a, _ := i.Alert(i.Lead); a.Silenced != "" {
			return fmt.Sprintf("watchdog only watches: %s is %s.", a.Rule, a.Silenced)
		}
		if i.Maintenance.Window != "" && heldBy(i, "maintenance") {
			return "watchdog keeps its hands off while people work on this."
		}
		if i.Paged {
			return "A person holds this, and it is still in breach. watchdog only watches; please look, or lift the hold with `watchdog resume`."
		}
		return "A person holds this. watchdog only watches; `watchdog resume` lifts the hold."
	case incident.Frozen:
		if i.Shared {
			return "More than this is the matter; it is told as an incident of its own. watchdog does nothing meanwhile."
		}
		return "watchdog does not act while it cannot trust what it sees."
	case incident.Verifying:
		if !tried(i) {
			return also(i, "It is recovering: nothing was done, and watchdog waits until it is over.")
		}
		return also(i, "watchdog waits whether it helped.")
	}
	if i.Op != nil {
		return also(i, "watchdog works on it: "+i.Op.Plan.Summary+".")
	}
	return also(i, "watchdog is investigating; nothing is under way.")
}

// also adds that a person was asked for, although watchdog goes on.
func also(i incident.Incident, what string) string {
	if !i.Paged {
		return what
	}
	return fmt.Sprintf("A person was paged (%s). Meanwhile %s goes on: %s", i.PageReason, i.Lead, what)
}

// asked is the op that a person is asked to approve; "": none.
func asked(i incident.Incident) string {
	if i.Asked == nil {
		return ""
	}
	return i.Asked.Op
}

// answered says who took the incident on, or that nobody did in time.
func answered(i incident.Incident) string {
	switch {
	case !i.Acked.At.IsZero() && i.Acked.By != "":
		return "acknowledged by " + i.Acked.By
	case !i.Acked.At.IsZero():
		return "acknowledged"
	case i.Phase == incident.Resolved:
		return ""
	case i.Unanswered > 0:
		return fmt.Sprintf("Nobody has acknowledged this; deadlines missed: %d. `watchdog ack %s`", i.Unanswered, i.ID)
	case !i.AckBy.IsZero() && !i.AckedBefore.At.IsZero():
		return fmt.Sprintf("%s; to be acknowledged by %s: `watchdog ack %s`", outgrown(i), i.AckBy.UTC().Format("15:04:05 UTC, 2 Jan"), i.ID)
	case !i.AckedBefore.At.IsZero():
		return fmt.Sprintf("%s: `watchdog ack %s`", outgrown(i), i.ID)
	case !i.AckBy.IsZero():
		return fmt.Sprintf("To be acknowledged by %s: `watchdog ack %s`", i.AckBy.UTC().Format("15:04:05 UTC, 2 Jan"), i.ID)
	}
	return ""
}

// outgrown says whose acknowledgement counts no more, because the incident is graver now.
func outgrown(i incident.Incident) string {
	who := "Somebody"
	if i.AckedBefore.By != "" {
		who = i.AckedBefore.By
	}
	return fmt.Sprintf("%s acknowledged this as %s; it is %s now and needs a new acknowledgement", who, i.AckedBefore.Severity, i.Severity)
}

// maintained says by what window the target is in maintenance; "": by none.
func maintained(i incident.Incident) string {
	if i.Phase == incident.Resolved || i.Maintenance.Window == "" {
		return ""
	}
	return "This is " + i.Maintenance.Window
}

// heldBy reports whether the guard held the plan that was last considered.
func heldBy(i incident.Incident, guard string) bool {
	return slices.ContainsFunc(i.Answers, func(a incident.Answer) bool { return a.Guard == guard && a.Hold != "" })
}

// actions are the finished attempts, one line each.
func actions(i incident.Incident) []string {
	var all []string
	for _, a := range i.Attempts {
		all = append(all, fmt.Sprintf("%s: %s", a.Summary, a.Verdict))
	}
	if i.Op != nil && !i.Op.AppliedAt.IsZero() {
		all = append(all, i.Op.Plan.Summary+": waiting for its effect")
	}
	return all
}

// reason is why nothing (more) was done.
func reason(i incident.Incident) string {
	if i.PageReason != "" && i.Phase != incident.Resolved {
		return i.PageReason
	}
	if i.Phase == incident.Resolved || i.Op != nil {
		return ""
	}
	for _, a := range i.Answers {
		if a.Hold != "" {
			return a.Guard + ": " + a.Reason
		}
	}
	return ""
}

// firing is the incident's state in Alertmanager's words.
func firing(i incident.Incident) string {
	if i.Phase == incident.Resolved {
		return "resolved"
	}
	return "firing"
}

// news is a fingerprint of what a person would act on; while it stays the same,
// whoever was told is not told again.
func news(i incident.Incident) string {
	return digest([]any{firing(i), i.Severity, i.Lead, i.PageReason, i.Unanswered, i.Step, i.Acked.By, asked(i)})
}

// wanted reports whether a receiver that takes these severities hears of i.
func wanted(i incident.Incident, severities []incident.Severity) bool {
	return slices.Contains(severities, i.Severity)
}

// digest is a fingerprint of what a receiver would show.
func digest(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
