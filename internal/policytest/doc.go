// Package policytest runs unit tests of a policy: promtool's files of tests as they
// are, and in the same files what watchdog would have done and why not.
//
// The tests of alerts and expressions follow Prometheus to the letter, and what they
// ask is not changed by a policy. Those of a policy are played by internal/replay.
package policytest
