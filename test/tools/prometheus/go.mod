// Prometheus, for tests that compare watchdog with the version whose PromQL it
// embeds; a module of its own so that none of this is in watchdog's graph.
// hack/prometheus builds it.
module watchdog.io/watchdog/test/tools/prometheus

go 1.26.0

require github.com/prometheus/prometheus v0.315.0
