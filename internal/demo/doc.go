// Package demo plays whole stories on a real Kubernetes control plane: the
// example application runs, load comes in, something breaks, and watchdog,
// installed by its own chart, deals with it.
//
// It owns the stage (testbed, application, load, recording receivers) and the
// scenarios. The demo command narrates them; the integration tests play the same
// scenarios and ask the API server's audit log and the receivers what happened.
//
// Its one rule: nothing is staged. A bad release is bad because its program is.
package demo
