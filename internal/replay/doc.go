// Package replay lives through the past again: the rules, guards and ladders of a
// configuration are given what was measured once, on a virtual clock, by the code of
// the daemon itself. `watchdog test` and `watchdog backtest` are built on it.
//
// What was measured does not change by what watchdog would have done. Nothing here
// knows whether an action would have helped.
package replay
