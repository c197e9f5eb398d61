// Package promql asks questions in PromQL: of the embedded engine, or of a
// Prometheus-compatible server.
//
// It owns how a server is reached and believed, and what can be read off an expression
// without asking it: what it needs, how far it looks back, whether it may be limited to
// some targets. It leaves what an answer means to rules.
//
// Its one rule: half an answer is an error. What is too large, partial, of another moment
// or of another type never passes for an answer.
package promql
