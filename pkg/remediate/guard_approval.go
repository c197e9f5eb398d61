package remediate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// approved: in mode approve, people have approved exactly this plan for exactly this op:
// as many as the rung requires, not counting who requested it, and nobody denied it. It is
// checked again immediately before the write, so that a changed plan and a withdrawn
// approval both count.
func approved(f Facts, p incident.Plan) incident.Answer {
	if incident.Lowest(f.Mode) != incident.Approve {
		return pass("mode %s needs no approval", incident.Lowest(f.Mode))
	}
	if p.Hash == "" {
		return hold(incident.Ask, "there is no plan to approve")
	}
	words := f.Responders.Approved[f.OpID]
	need, yes, latest := max(1, f.Options.Approvals), []string{}, time.Time{}
	var but []string
	seen := map[string]bool{}
	for _, who := range slices.Sorted(maps.Keys(words)) {
		word := words[who]
		word.Attribution = word.Bounded()
		name := spoken(who, word)
		switch {
		case word.Denied: // a denial counts whatever the name
			return hold(incident.Skip, "denied by %s at %s", name, word.At.UTC().Format(time.RFC3339))
		case word.Plan != p.Hash:
			but = append(but, fmt.Sprintf("%s approved plan %.12s, this is plan %.12s", name, word.Plan, p.Hash))
		case len(who) > incident.MaxKey:
			but = append(but, fmt.Sprintf("the name %.16s… is longer than %d bytes, so the approval does not count",
				who, incident.MaxKey))
		case strings.EqualFold(who, requester(f)):
			but = append(but, name+" requested the action, so their approval does not count")
		case need > 1 && strings.HasPrefix(who, "system:serviceaccount:"):
			but = append(but, name+" is a service account, so its approval does not count")
		case seen[strings.ToLower(who)]:
			// The name in the configuration and that of an identity provider may differ only in case.
			but = append(but, name+" differs from another approver only in case, and counts once")
		default:
			yes, latest, seen[strings.ToLower(who)] = append(yes, name), newer(latest, word.At), true
		}
	}
	count := fmt.Sprintf("%d of %d approvals of plan %.12s", len(yes), need, p.Hash)
	if len(yes) > 0 {
		count += ": by " + strings.Join(yes, " and ")
	}
	r := f.Incident.Asked
	over := r != nil && r.Op == f.OpID && !f.Now.Before(r.Until)
	late := over && f.Now.Sub(r.Until) > f.Options.CoolOff+lateUse
	cool := time.Time{}
	if begun := f.Incident.Op != nil && f.Incident.Op.ID == f.OpID; f.Options.CoolOff > 0 && !begun {
		cool = f.Now.Add(f.Options.CoolOff)
		if r != nil && r.Op == f.OpID && !r.ReadyAt.IsZero() {
			cool = r.ReadyAt.Add(f.Options.CoolOff)
		}
	}
	switch {
	case over && (len(yes) < need || !latest.Before(r.Until)):
		return hold(incident.Ask, "the approval request for plan %.12s expired at %s", p.Hash,
			r.Until.UTC().Format(time.RFC3339))
	case late:
		return hold(incident.Ask, "the approval of plan %.12s expired: the plan could not be executed within %s "+
			"after the request expired at %s", p.Hash, lateUse+f.Options.CoolOff, r.Until.UTC().Format(time.RFC3339))
	case len(yes) < need && len(but) > 0:
		return hold(incident.Ask, "%s; %s", strings.Join(but, "; "), count)
	case len(yes) < need:
		return hold(incident.Ask, "mode approve (%s): %s", cmp.Or(f.ModeWhy, "not set"), count)
	case f.Now.Before(cool):
		a := hold(incident.Wait, "%s; waiting until %s for objections", count,
			cool.UTC().Format(time.RFC3339))
		a.RetryAt = cool
		return a
	}
	return pass("%s at %s", count, latest.UTC().Format(time.RFC3339))
}

// lateUse is how long after the end of its request an approved plan may still be executed.
// If a hold or the kill switch holds it for longer, the approval has expired.
// It is longer than a rung may be refused with Wait.
const lateUse = 15 * time.Minute

// requester is who requested the action; empty: watchdog itself.
func requester(f Facts) string {
	switch {
	case f.Incident.Op != nil && f.Incident.Op.ID == f.OpID:
		return f.Incident.Op.By
	case f.Incident.Asked != nil && f.Incident.Asked.Op == f.OpID:
		return f.Incident.Asked.By
	}
	return ""
}

func spoken(who string, word incident.Approval) string {
	name := cmp.Or(incident.Name(who), word.By, "somebody")
	if word.Reason != "" {
		name += " (" + word.Reason + ")"
	}
	return name
}

func newer(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
