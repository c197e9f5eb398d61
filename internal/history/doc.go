// Package history reads what was measured: a Prometheus server's API, a folder of
// TSDB blocks, or a recording in OpenMetrics. It answers the questions of rules as of
// any moment, and reads ahead where the same question is asked in equal steps.
package history
