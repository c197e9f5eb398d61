// Package storage keeps the samples of the probes, and those that rules record, in memory.
//
// It owns the series, their chunks and their bounds: how long samples are kept, how many
// series there may be, and how many of them one probe may name. It answers a PromQL engine
// as a storage.Queryable. It leaves questions to promql, and what samples mean to rules.
//
// Its one rule: what it cannot hold is refused and counted by reason; it is never
// approximated.
package storage
