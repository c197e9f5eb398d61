// Package sim runs the engine of production, with its core, its guards and the
// rules' own Eval, in worlds whose truth is known: one seed, one world, one
// history.
//
// It owns the world (applications with hidden causes of trouble, an API server
// with resource versions, people, controllers, clocks and their faults), the
// oracle that holds the invariants against the history, and the score against
// the truth. It leaves every decision to pkg/engine, pkg/incident, pkg/remediate
// and pkg/rules: not one of them is rewritten here.
//
// Its one rule: one goroutine and one source of chance. The same seed gives the
// same history, to the last write.
package sim
