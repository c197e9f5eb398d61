// Package explore visits every state that a few replicas of watchdog, the API
// server and the people around them can get into, and holds the invariants of
// docs/safety.md against each.
//
// It owns the world (targets, ledger and incidents as objects with versions,
// writes that are late, lost or doubled, crashes, leases lost without notice,
// people who hold, edit and stop) and the shell around the core, one step for each
// contact with the world. The shell is a model of pkg/engine as it must be: where
// pkg/engine is known to differ, Shell in config.go says how. It leaves every decision
// to pkg/incident: Step, Adopt, Reserve, Check and Release are called as they are.
//
// Its one rule: nothing is sampled. Up to the Limit of a configuration and the
// bounds of a state, which a result reports, a state is left out only if it equals one
// that was visited, after times are taken relative to now and cut off where no
// decision can tell them apart any more, and replicas are taken without names.
package explore
