// Package mutants breaks watchdog on purpose: it proves that the harness would
// notice.
//
// It owns a list of safety bugs, each a few words exchanged in one file, and the
// test that builds watchdog with one of them at a time and lets the simulator run
// until it objects. It leaves the objecting to internal/sim.
//
// The compare-and-swap of the ledger has no mutant here: chance seldom meets two
// leaders in the same millisecond. internal/explore takes it away and finds the story.
//
// Its one rule: a mutant exists only in the overlay of one build. No switch for it
// is in the product.
package mutants
