// Package remediate plans actions for an incident and decides whether they may be taken now.
//
// It owns the actions (scale, restart, rollback, job, page, capture), one file
// each, and the guards, one file each. It leaves the order of steps to engine,
// and every write to the writer that engine passes the plan to.
//
// Its one rule: decisions and writes are separate. A plan never changes the cluster,
// a guard never changes a plan, and a guard that cannot decide holds.
package remediate
