// Package kube is watchdog's contact with the Kubernetes API: clients, fresh
// reads, watches, the one conditional write, watchdog's own objects, the leader
// lease and Events.
//
// It owns every request to the API server and the messages for what goes wrong with
// one. It leaves the decision what to write, and whether, to remediate and engine.
//
// Its one rule: a workload is written by Writer.Write only, with exactly one
// request that names uid and resourceVersion and carries the op's id.
package kube
