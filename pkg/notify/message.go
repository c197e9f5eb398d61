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

// SafeID is text that can be part of a header as it is.
func SafeID(s string) string {
	for _, r := range s {
		if r > 'z' || r < '-' || r == '/' || r > '9' && r < 'A' || r > 'Z' && r < 'a' && r != '_' {
			return Digest(s)
		}
	}
	if s == "" || len(s) > 64 {
		return Digest(s)
	}
	return s
}

// Rehearsal is the kind of the target of an incident that only tries receivers out.
const Rehearsal = "test"

// Headline is the incident in one line: how bad, what, and where it stands.
func Headline(i incident.Incident) string {
	return fmt.Sprintf("%s %s: %s", i.Severity, Status(i), i.Title())
}

// Status is the incident's phase, as the on-call needs it.
func Status(i incident.Incident) string {
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
		if !Tried(i) {
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

// Tried reports whether something was done whose effect there is to wait for.
func Tried(i incident.Incident) bool {
	return len(i.Attempts) > 0 || i.Op != nil && !i.Op.AppliedAt.IsZero()
}

// Next says what watchdog will do, or what the reader has to do.
func Next(i incident.Incident) string {
	if r := i.Asked; r != nil {
		return fmt.Sprintf("Approval requested until %s: %s. To approve: `%s`; to deny: `watchdog deny %s --reason WHY`",
			r.Until.UTC().Format("15:04 UTC, 2 Jan"), r.Plan.Summary, i.ApproveCommand(), i.ID)
	}
	if i.Target.Kind == Rehearsal && i.Phase != incident.Resolved {
		return "This is a test. No action is required."
	}
	if !i.CalmSince.IsZero() && i.Phase != incident.Resolved {
		return fmt.Sprintf("No alert is firing. It recurred before, so the incident stays open until no alert has fired "+
			"for %s.", incident.FlapCalm)
	}
	switch i.Phase {
	case incident.Resolved:
		return fmt.Sprintf("Resolved after %s. No action is required.", i.ResolvedAt.Sub(i.OpenedAt).Round(time.Second))
	case incident.Escalated:
		return "watchdog takes no further action. Please take over."
	case incident.Suppressed:
		if a, _ := i.Alert(i.Lead); a.Silenced != "" {
			return fmt.Sprintf("watchdog takes no action: %s is %s.", a.Rule, a.Silenced)
		}
		if i.Maintenance.Window != "" && heldBy(i, "maintenance") {
			return "watchdog takes no action during maintenance."
		}
		if i.Paged {
			return "The target is on hold and still in breach. watchdog takes no action; investigate, or lift the hold " +
				"with `watchdog resume`."
		}
		return "The target is on hold. watchdog takes no action; `watchdog resume` lifts the hold."
	case incident.Frozen:
		if i.Shared {
			return "Part of a wider problem, tracked in a separate incident. watchdog takes no action on this target " +
				"meanwhile."
		}
		return "watchdog takes no action while it cannot trust its data."
	case incident.Verifying:
		if !Tried(i) {
			return also(i, "The target is recovering without an action; waiting for it to be healthy.")
		}
		return also(i, "Waiting to see whether the action helped.")
	}
	if i.Op != nil {
		return also(i, "In progress: "+i.Op.Plan.Summary+".")
	}
	return also(i, "watchdog is investigating; no action is in progress.")
}

// also adds that a person was asked for, although watchdog goes on.
func also(i incident.Incident, what string) string {
	if !i.Paged {
		return what
	}
	return fmt.Sprintf("The on-call was paged (%s). Remediation of %s continues: %s", i.PageReason, i.Lead, what)
}

// Asked is the op that a person is asked to approve; "": none.
func Asked(i incident.Incident) string {
	if i.Asked == nil {
		return ""
	}
	return i.Asked.Op
}

// Answered says who acknowledged the incident, or that nobody did in time.
func Answered(i incident.Incident) string {
	switch {
	case !i.Acked.At.IsZero() && i.Acked.By != "":
		return "acknowledged by " + i.Acked.By
	case !i.Acked.At.IsZero():
		return "acknowledged"
	case i.Phase == incident.Resolved:
		return ""
	case i.Unanswered > 0:
		return fmt.Sprintf("Not acknowledged; deadlines missed: %d. `watchdog ack %s`", i.Unanswered, i.ID)
	case !i.AckBy.IsZero() && !i.AckedBefore.At.IsZero():
		return fmt.Sprintf("%s by %s: `watchdog ack %s`", outgrown(i),
			i.AckBy.UTC().Format("15:04:05 UTC, 2 Jan"), i.ID)
	case !i.AckedBefore.At.IsZero():
		return fmt.Sprintf("%s: `watchdog ack %s`", outgrown(i), i.ID)
	case !i.AckBy.IsZero():
		return fmt.Sprintf("Acknowledge by %s: `watchdog ack %s`", i.AckBy.UTC().Format("15:04:05 UTC, 2 Jan"),
			i.ID)
	}
	return ""
}

// outgrown says whose acknowledgement no longer counts, because the severity is higher now.
func outgrown(i incident.Incident) string {
	who := "Somebody"
	if i.AckedBefore.By != "" {
		who = i.AckedBefore.By
	}
	return fmt.Sprintf("%s acknowledged this as %s; it is now %s and requires a new acknowledgement", who,
		i.AckedBefore.Severity, i.Severity)
}

// Maintained names the target's maintenance window; "": none.
func Maintained(i incident.Incident) string {
	if i.Phase == incident.Resolved || i.Maintenance.Window == "" {
		return ""
	}
	return "This is " + i.Maintenance.Window
}

// heldBy reports whether the guard held the plan that was last considered.
func heldBy(i incident.Incident, guard string) bool {
	return slices.ContainsFunc(i.Answers, func(a incident.Answer) bool { return a.Guard == guard && a.Hold != "" })
}

// Actions are the finished attempts, one line each.
func Actions(i incident.Incident) []string {
	var all []string
	for _, a := range i.Attempts {
		all = append(all, fmt.Sprintf("%s: %s", a.Summary, a.Verdict))
	}
	if i.Op != nil && !i.Op.AppliedAt.IsZero() {
		all = append(all, i.Op.Plan.Summary+": waiting for its effect")
	}
	return all
}

// Reason is why nothing (more) was done.
func Reason(i incident.Incident) string {
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

// Firing is the incident's state as Alertmanager names it.
func Firing(i incident.Incident) string {
	if i.Phase == incident.Resolved {
		return "resolved"
	}
	return "firing"
}

// News is a fingerprint of what a person would act on; while it stays the same,
// a receiver that has it is not notified again.
func News(i incident.Incident) string {
	return Digest([]any{Firing(i), i.Severity, i.Lead, i.PageReason, i.Unanswered, i.Step, i.Acked.By, Asked(i)})
}

// Wanted reports whether a receiver that takes these severities is notified of i.
func Wanted(i incident.Incident, severities []incident.Severity) bool {
	return slices.Contains(severities, i.Severity)
}

// Digest is a fingerprint of what a receiver would show.
func Digest(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
