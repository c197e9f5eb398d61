// Package fleet measures watchdog with many targets: a stand-in for the Kubernetes API server with
// their objects, one HTTP server for all of them, and programs that run the real binary against
// both and print what it costs. What is measured runs in a process of its own, so that its memory
// and CPU are its alone.
//
// The command beside it, cmd/fleet, is what `make bench-fleet`, `make bench-peers` and `make soak` run.
package fleet
