package incident

// Action names what a rung of a ladder does, and what a plan does.
type Action string

// The actions of ladders, from harmless to destructive.
const (
	ActionPage     Action = "page"
	ActionCapture  Action = "capture"
	ActionJob      Action = "job"
	ActionScale    Action = "scale"
	ActionRestart  Action = "restart"
	ActionRollback Action = "rollback"
)

// ActionRevert is the action of an op that undoes a lease. It is not a new
// remedy: it uses no budget and waits for no cooldown, but it is single-flight
// like every other op.
const ActionRevert Action = "revert"
