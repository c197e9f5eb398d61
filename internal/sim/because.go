package sim

import (
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// because is why a person was asked for, as far as the incident's fields tell.
type because struct {
	// rules led the incident at that moment, or their ladders ended with it.
	rules []string
	// ladder is the rule whose ladder came to its end, if no refusal and no action explains more.
	ladder string
}

// asks notes why a person is asked for.
func (o *oracle) asks(was, i incident.Incident) {
	if !i.Paged || was.Paged {
		return
	}
	b := because{rules: []string{was.Lead, i.Lead}}
	for _, a := range i.Alerts {
		if before, _ := was.Alert(a.Rule); !a.Ended || before.Ended {
			continue
		}
		b.rules = append(b.rules, a.Rule)
		acted := slices.ContainsFunc(i.Attempts, func(t incident.Attempt) bool { return t.Rule == a.Rule })
		if b.ladder == "" && a.Refused == "" && !acted && saysPage(a) {
			b.ladder = a.Rule
		}
	}
	if o.because == nil {
		o.because = map[string]because{}
	}
	o.because[i.ID] = b
}

// saysPage reports whether the ladder is at its end, or at a page that gives no reason of its own.
func saysPage(a incident.Alert) bool {
	if a.Next >= len(a.Ladder) {
		return len(a.Ladder) > 0
	}
	next := a.Ladder[a.Next]
	return next.Action == incident.ActionPage && next.Why == ""
}
