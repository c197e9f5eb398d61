package sim

import (
	"fmt"
	"slices"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// plays are the actions of remediate.Actions whose write the world takes (app.write, runJob);
// capture and page write nothing. What each can end is in cures.
var plays = []incident.Action{incident.ActionScale, incident.ActionRestart, incident.ActionRollback, incident.ActionJob}

// PlaysAction reports whether the world knows what the action does.
func PlaysAction(name incident.Action) bool {
	a, known := remediate.ActionOf(name)
	return known && !a.Writes() || slices.Contains(plays, name)
}

// notPlayed refuses what the world does not know, as an API server would; nil for all else.
func notPlayed(p incident.Plan) error {
	if p.Action == incident.ActionRevert || PlaysAction(p.Action) {
		return nil
	}
	a, _ := remediate.ActionOf(p.Action)
	return fmt.Errorf("%s is not simulated: %s", p.Action, a.NotSimulated)
}

// cures lists which actions can end which cause.
var cures = map[string][]incident.Action{
	BadRelease: {incident.ActionRollback}, CrashLoop: {incident.ActionRollback}, NeverReady: {incident.ActionRollback},
	Agents: {incident.ActionRestart, incident.ActionRollback}, Leak: {incident.ActionRestart, incident.ActionRollback},
	Overload: {incident.ActionScale},
}
