// Package remediate is what may be done about an incident, and whether now.
//
// It owns the actions (scale, restart, rollback, job, page, capture), one file
// each, and the guards, one file each. It leaves the order of things to engine
// and every write to the writer that engine hands the plan to.
//
// Its one rule: deciding and doing are apart. A plan never changes the cluster,
// a guard never changes a plan, and a guard that cannot tell holds.
package remediate
