package remediate

import (
	"cmp"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// approved: in mode approve a person has said yes to exactly this plan, for exactly
// this op. It is asked again a moment before the write, so that a plan that changed
// since and a word that was taken back both count.
func approved(f Facts, p incident.Plan) incident.Answer {
	if incident.Lowest(f.Mode) != incident.Approve {
		return pass("mode %s asks for no approval", incident.Lowest(f.Mode))
	}
	word, said := f.Ledger.Approved[f.OpID]
	who := cmp.Or(word.By, "somebody")
	if word.Reason != "" {
		who += " (" + word.Reason + ")"
	}
	r := f.Incident.Asked
	switch {
	case p.Hash == "":
		return hold(incident.Ask, "there is no plan that could be approved")
	case r != nil && r.Op == f.OpID && !f.Now.Before(r.Until):
		return hold(incident.Ask, "the request for approval of plan %.12s ended at %s", p.Hash, r.Until.UTC().Format(time.RFC3339))
	case !said:
		return hold(incident.Ask, "mode approve (%s): 0 of 1 approvals of plan %.12s", cmp.Or(f.ModeWhy, "not set by anything"), p.Hash)
	case word.Denied:
		return hold(incident.Skip, "denied by %s at %s", who, word.At.UTC().Format(time.RFC3339))
	case word.Plan != p.Hash:
		return hold(incident.Ask, "%s approved plan %.12s, and this is plan %.12s", who, word.Plan, p.Hash)
	}
	return pass("1 of 1 approvals of plan %.12s: by %s at %s", p.Hash, who, word.At.UTC().Format(time.RFC3339))
}
